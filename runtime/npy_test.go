package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// npyFile is a file with this header text, as NumPy pads it, and data.
func npyFile(version byte, header, data string) string {
	lengthBytes := 4
	if version == 1 {
		lengthBytes = 2
	}
	prefix := len(npyMagic) + 2 + lengthBytes
	header += strings.Repeat(" ", 63-(prefix+len(header))%64) + "\n"
	length := make([]byte, lengthBytes)
	length[0], length[1] = byte(len(header)), byte(len(header)>>8)
	return npyMagic + string([]byte{version, 0}) + string(length) + header + data
}

func TestReadNPYAsNumPyWritesIt(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want Tensor
	}{
		"matrix":      {npyFile(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (1, 2), }", "\x01\x00\x02\x00"), Tensor{I16, []int64{1, 2}, []byte{1, 0, 2, 0}}},
		"vector":      {npyFile(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }", "\x00\x3c"), Tensor{F16, []int64{1}, []byte{0, 0x3c}}},
		"scalar":      {npyFile(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "\x00\x00\x80\x3f"), Tensor{F32, []int64{}, []byte{0, 0, 0x80, 0x3f}}},
		"bools":       {npyFile(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\x01\x00"), Tensor{BOOL, []int64{2}, []byte{1, 0}}},
		"empty":       {npyFile(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 5), }", ""), Tensor{F64, []int64{0, 5}, nil}},
		"version 2":   {npyFile(2, "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", "x"), Tensor{U8, []int64{1}, []byte("x")}},
		"version 3":   {npyFile(3, "{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }", "x"), Tensor{I8, []int64{1}, []byte("x")}},
		"other order": {npyFile(1, `{"shape": (1, 1,), "descr": "|u1", "fortran_order": False}`, "x"), Tensor{U8, []int64{1, 1}, []byte("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadNPY(strings.NewReader(c.file), 100)
			if err != nil || !equal(got, c.want) {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestReadNPYRefuses(t *testing.T) {
	header := func(descr, fortran, shape string) string {
		return fmt.Sprintf("{'descr': %s, 'fortran_order': %s, 'shape': %s, }", descr, fortran, shape)
	}
	good := header("'|u1'", "False", "(4,)")
	for name, file := range map[string]string{
		"nothing":         "",
		"another format":  "PK\x03\x04 and so on",
		"version 4":       npyFile(4, good, "abcd"),
		"cut header":      npyFile(1, good, "abcd")[:30],
		"too little data": npyFile(1, good, "abc"),
		"too much data":   npyFile(1, good, "abcde"),
		"over the limit":  npyFile(1, header("'|u1'", "False", "(101,)"), strings.Repeat("x", 101)),
		"size that lies":  npyFile(1, header("'<f8'", "False", "(1099511627776,)"), "x"),
		"overflow":        npyFile(1, header("'<f8'", "False", "(4294967296, 4294967296)"), "x"),
		"number overflow": npyFile(1, header("'<f8'", "False", "(99999999999999999999,)"), "x"),
		"big endian":      npyFile(1, header("'>f4'", "False", "(1,)"), "abcd"),
		"Fortran order":   npyFile(1, header("'<f4'", "True", "(1,)"), "abcd"),
		"objects":         npyFile(1, header("'|O'", "False", "(1,)"), "abcd"),
		"complex":         npyFile(1, header("'<c8'", "False", "(1,)"), "abcdefgh"),
		"a record":        npyFile(1, header("[('a', '<f4')]", "False", "(1,)"), "abcd"),
		"negative size":   npyFile(1, header("'|u1'", "False", "(-1,)"), ""),
		"no tuple":        npyFile(1, header("'|u1'", "False", "(4)"), "abcd"),
		"key twice":       npyFile(1, "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", "abcd"),
		"key missing":     npyFile(1, "{'descr': '|u1', 'shape': (4,), }", "abcd"),
		"unknown key":     npyFile(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), 'x': 1}", "abcd"),
		"code":            npyFile(1, "{'descr': __import__('os'), 'fortran_order': False, 'shape': (4,), }", "abcd"),
		"something after": npyFile(1, good+" + {}", "abcd"),
		"unclosed":        npyFile(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,", "abcd"),
		"not bools":       npyFile(1, header("'|b1'", "False", "(1,)"), "\x02"),
		"long header":     npyMagic + "\x02\x00\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ReadNPY(strings.NewReader(file), 100); !errors.Is(err, ErrTensor) {
				t.Errorf("got %v, %v, want ErrTensor", got, err)
			}
		})
	}
}

func TestNPYRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyTensor(t)
		var file bytes.Buffer
		err := WriteNPY(&file, want)
		if want.DType == BF16 {
			if !errors.Is(err, ErrTensor) {
				t.Fatalf("got %v, want ErrTensor", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if at := file.Len() - len(want.Data); at%64 != 0 {
			t.Fatalf("data begin at %d, which is no multiple of 64", at)
		}
		got, err := ReadNPY(&file, int64(len(want.Data)))
		if err != nil || !equal(got, want) {
			t.Fatalf("%v came back as %v, %v", want, got, err)
		}
	})
}

func TestWriteNPYReportsTheWriter(t *testing.T) {
	r, w := io.Pipe()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := WriteNPY(w, Tensor{U8, []int64{1}, []byte{1}}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want io.ErrClosedPipe", err)
	}
}

func FuzzReadNPY(f *testing.F) {
	f.Add([]byte(npyFile(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "abcd")))
	f.Add([]byte(npyFile(2, "{'descr': '|b1', 'fortran_order': False, 'shape': (), }", "\x01")))
	f.Add([]byte(npyFile(3, `{"shape": (0, 3, 4,), "fortran_order": False, "descr": "<u8"}`, "")))
	f.Fuzz(func(t *testing.T, file []byte) {
		x, err := ReadNPY(bytes.NewReader(file), 1<<16)
		if err != nil {
			return
		}
		if err := x.Validate(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		var again bytes.Buffer
		if err := WriteNPY(&again, x); err != nil {
			t.Fatal(err)
		}
		first := bytes.Clone(again.Bytes())
		y, err := ReadNPY(&again, 1<<16)
		if err != nil || !equal(x, y) {
			t.Fatalf("%v came back as %v, %v", x, y, err)
		}
		var second bytes.Buffer
		if err := WriteNPY(&second, y); err != nil || !bytes.Equal(first, second.Bytes()) {
			t.Fatalf("written differently the second time: %v", err)
		}
	})
}
