package chunker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

func TestSafetensors(t *testing.T) {
	header := ` {"b":{"shape":[2],"data_offsets":[8,16],"dtype":"F32"}, "__metadata__":{"a":[1,-2.5e3,true,null,{"x":"\u00e9"}]},
		"a/\"\u00e9\ud83d\ude00":{"dtype":"F4","shape":[16],"data_offsets":[0,8]},
		"empty":{"dtype":"I64","shape":[0,3],"data_offsets":[16,16]} } `
	// The format wants the brace first: spaces may only follow.
	data := safetensorsFile(header[1:], floats(4))
	checkTensors(t, data, layout(t, data, "m.safetensors"),
		`a/"é😀 bytes [] 8:000000000000c03f`, "b f32 [2] 8:0000404000009040")
	malformed(t, safetensorsFile(header, floats(4)), "m.safetensors", "safetensors", "no header")
}

// Every element type, and shapes of a rank that a layout cannot write.
func TestSafetensorsElementTypes(t *testing.T) {
	for name, want := range map[string]string{
		"BOOL": "bool 4", "U8": "u8 4", "I8": "i8 4", "F8_E5M2": "f8e5m2 4", "F8_E4M3": "f8e4m3 4",
		"I16": "i16 8", "U16": "u16 8", "F16": "f16 8", "BF16": "bf16 8", "I32": "i32 16", "U32": "u32 16",
		"F32": "f32 16", "F64": "f64 32", "I64": "i64 32", "U64": "u64 32", "C64": "c64 32", "F8_E8M0": "bytes 4",
	} {
		dtype, n, _ := strings.Cut(want, " ")
		var size int
		fmt.Sscan(n, &size) //nolint:errcheck // a literal above
		data := safetensorsFile(fmt.Sprintf(`{"x":{"dtype":%q,"shape":[2,2],"data_offsets":[0,%d]}}`, name, size), make([]byte, size))
		l := layout(t, data, "m.safetensors")
		if len(l.Tensors) != 1 || string(l.Tensors[0].DType) != dtype || l.Tensors[0].Length != uint64(size) {
			t.Errorf("%s: %+v, want %s", name, l.Tensors, want)
		}
	}
	deep := safetensorsFile(`{"x":{"dtype":"U8","shape":[`+strings.Repeat("1,", 20)+`1],"data_offsets":[0,1]}}`, []byte{1})
	checkTensors(t, deep, layout(t, deep, "m.safetensors"), "x bytes [] 1:01")
}

func TestSafetensorsLies(t *testing.T) {
	tensor := func(name, shape string, from, to int) string {
		return fmt.Sprintf(`%q:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, name, shape, from, to)
	}
	object := func(members ...string) string { return "{" + strings.Join(members, ",") + "}" }
	for _, c := range []struct{ header, want string }{
		{object(tensor("x", "[3]", 0, 16)), `tensor "x" says [3] elements of f32 but has 16 bytes`},
		{object(tensor("x", "[4294967296,4294967296]", 0, 16)), "but has 16 bytes"},
		{object(tensor("x", "[4]", 0, 17)), `tensor "x" is bytes 0 to 17 of 16`},
		{object(tensor("x", "[4]", 8, 4)), `tensor "x" is bytes 8 to 4 of 16`},
		{object(tensor("x", "[3]", 0, 12)), "4 bytes belong to no tensor"},
		{object(tensor("x", "[2]", 0, 8), tensor("y", "[2]", 4, 12)), `, overlaps "x", bytes `},
		{object(tensor("x", "[4]", 0, 16), tensor("y", "[4]", 0, 16)), `tensors have more bytes than the file: "y" overlaps`},
		{object(tensor("x", "[2]", 0, 8), tensor("x", "[2]", 8, 16)), `two tensors are named "x"`},
		{object(tensor("x", "[-4]", 0, 16)), "want a whole number"},
		{object(tensor("x", "[04]", 0, 16)), "want a whole number"},
		{object(tensor("x", "[99999999999999999999]", 0, 16)), "number too large"},
		{`{"x":{"dtype":"F32","shape":[4]}}`, `tensor "x" has 2 keys`},
		{`{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"url":"http://"}}`, `unknown key "url"`},
		{`{"x":[]}`, `want '{'`},
		{`{"__metadata__":` + strings.Repeat("[", 1000) + `}`, "nest more than 32 deep"},
		{`{"x`, "1 bytes wanted, 0 left"},
		{"{\"x\n\":{}}", "control character"},
		{`{"\ud83dx":{}}`, "half a surrogate pair"},
		{`{"\q":{}}`, "unknown escape"},
		{`{"\u12g4":{}}`, "no hexadecimal number"},
		{`{"__metadata__":}`, "want a value"},
		{object(tensor("x", "[4]", 0, 16)) + "x", "bytes after the header's end"},
	} {
		malformed(t, safetensorsFile(c.header, floats(4)), "m.safetensors", "safetensors", c.want)
		if err := tryLayout(t, safetensorsFile(c.header, floats(4)), "weights.bin"); err != nil {
			t.Errorf("%s: a file without the extension is refused: %v", c.header, err)
		}
	}
	for _, length := range []uint64{1 << 63, 100_000_001, 1000} {
		data := binary.LittleEndian.AppendUint64(nil, length)
		malformed(t, append(data, "{}"...), "m.safetensors", "safetensors", "header of")
	}
}

// A header of the largest size that is one endless string takes no memory.
func TestSafetensorsHugeHeader(t *testing.T) {
	data := safetensorsFile(`{"`+strings.Repeat("x", 4<<20), nil)
	malformed(t, data, "m.safetensors", "safetensors", "1 bytes wanted, 0 left")
	spaces := safetensorsFile(`{`+strings.Repeat(" ", 4<<20), nil)
	malformed(t, spaces, "m.safetensors", "safetensors", `want '"'`)
	if !bytes.HasPrefix(data[8:], []byte(`{"x`)) {
		t.Fatal("the builder is broken")
	}
}
