package chunker_test

import (
	"bytes"
	"strings"
	"testing"
)

func TestNPY(t *testing.T) {
	const twelve = ":000000000000c03f00004040"
	for header, want := range map[string]string{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }":                            "array f32 [2 3] 24" + twelve,
		"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }":                             "array f32 [3 2] 24" + twelve,
		"{'shape': (6,), \"descr\": \"<f4\", 'fortran_order': False}":                            "array f32 [6] 24" + twelve,
		"{'descr': '|i1', 'fortran_order': False, 'shape': (), }":                                "array i8 [] 1:00",
		"{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }":                              "array c64 [3] 24" + twelve,
		"{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }":                              "array bytes [] 24" + twelve,
		"{'descr': '<U6', 'fortran_order': False, 'shape': (1,), }":                              "array bytes [] 24" + twelve,
		"{'descr': [('a', '<f4'), ('b', '<i4', (2,))], 'fortran_order': False, 'shape': (2,), }": "array bytes [] 24" + twelve,
	} {
		data := npyFile(header, floats(6))
		checkTensors(t, data, layout(t, data, "m.npy"), want)
	}
	version2 := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", floats(6))
	version2[6] = 2
	version2 = append(append(version2[:10:10], 0, 0), version2[10:]...)
	checkTensors(t, version2, layout(t, version2, "m.npy"), "array f32 [6] 24"+twelve)
	empty := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", nil)
	checkTensors(t, empty, layout(t, empty, "m.npy"))
}

func TestNPYLies(t *testing.T) {
	dict := func(descr, order, shape string) string {
		return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }"
	}
	for _, c := range []struct{ header, want string }{
		{dict("'<f4'", "False", "(7,)"), "array says [7] elements of f32 but has 24 bytes"},
		{dict("'<f4'", "False", "(4294967296, 4294967296, 16)"), "but has 24 bytes"},
		{dict("'<f4'", "False", "(-1,)"), "want a whole number"},
		{dict("'<f4'", "False", "7"), `want '('`},
		{dict("'<f4'", "Maybe", "(6,)"), "want True or False"},
		{dict("'\\x41'", "False", "(6,)"), "string with an escape"},
		{dict("'"+strings.Repeat("f", 200)+"'", "False", "(6,)"), "string with an escape or too long"},
		{dict("<f4", "False", "(6,)"), "want a string"},
		{dict("[[[", "False", "(6,)"), "bytes wanted, 0 left"},
		{"{'descr': '<f4', 'shape': (6,), }", "want descr, fortran_order and shape"},
		{"{'descr': '<f4', 'descr': '<f4', }", `"descr" twice`},
		{"{'sneaky': '<f4'}", `unknown key "sneaky"`},
		{dict("'<f4'", "False", "(6,)") + "x", "bytes after the dictionary"},
		{"", `want '{'`},
	} {
		malformed(t, npyFile(c.header, floats(6)), "m.npy", "npy", c.want)
	}
	good := npyFile(dict("'<f4'", "False", "(6,)"), floats(6))
	for want, at := range map[string]int{"version 9": 6, "header of 2422 bytes": 9} {
		data := bytes.Clone(good)
		data[at] = 9
		malformed(t, data, "m.npy", "npy", want)
	}
	huge := append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\x7f"), good...)
	malformed(t, huge, "m.npy", "npy", "header of 2147483647 bytes, at most 65536")
}
