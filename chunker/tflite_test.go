package chunker_test

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestTFLite(t *testing.T) {
	data := tfliteFile(
		tfTensor{name: "computed", kind: 0, shape: []int32{1, 2}},
		tfTensor{name: "f32", kind: 0, shape: []int32{2, 2}, data: floats(4)},
		tfTensor{name: "f32 again", kind: 0, shape: []int32{4}, share: true},
		tfTensor{name: "f16", kind: 1, shape: []int32{4}, data: floats(2)},
		tfTensor{name: "i4", kind: 17, shape: []int32{3}, data: []byte{1, 2}},
		tfTensor{name: "text", kind: 5, shape: []int32{9}, data: []byte("text")},
		tfTensor{name: "later type", kind: 99, shape: []int32{9}, data: []byte("data")})
	checkTensors(t, data, layout(t, data, "m.tflite"),
		"later type bytes [] 4:64617461", "text bytes [] 4:74657874", "i4 i4 [3] 2:0102",
		"f16 f16 [4] 8:000000000000c03f", "f32 f32 [2 2] 16:000000000000c03f00004040")
}

func TestTFLiteElementTypes(t *testing.T) {
	for kind, want := range []struct {
		dtype string
		bytes int // of 4 elements
	}{
		{"f32", 16},
		{"f16", 8},
		{"i32", 16},
		{"u8", 4},
		{"i64", 32},
		{"bytes", 9},
		{"bool", 4},
		{"i16", 8},
		{"c64", 32},
		{"i8", 4},
		{"f64", 32},
		{"c128", 64},
		{"u64", 32},
		{"bytes", 9},
		{"bytes", 9},
		{"u32", 16},
		{"u16", 8},
		{"i4", 2},
		{"bf16", 8},
	} {
		data := tfliteFile(tfTensor{name: "x", kind: byte(kind), shape: []int32{4}, data: make([]byte, want.bytes)})
		l := layout(t, data, "m.tflite")
		if len(l.Tensors) != 1 || string(l.Tensors[0].DType) != want.dtype || l.Tensors[0].Length != uint64(want.bytes) {
			t.Errorf("type %d: %+v, want %+v", kind, l.Tensors, want)
		}
	}
}

// outside is a model with one tensor, of 2 u8, whose buffer says that its data
// is size bytes at offset, behind the FlatBuffer. It is written by hand, so
// that tests know where everything lies.
func outside(offset, size uint64) []byte {
	var b []byte
	u16 := func(values ...uint16) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	u32 := func(values ...int32) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	u32(24)
	b = append(b, "TFL3"...)
	u16(14, 12, 0, 0, 4, 0, 8, 0) // 8: vtable of the model: subgraphs and buffers
	u32(24-8, 36-28, 44-32)       // 24: model
	u32(1, 68-40)                 // 36: subgraphs
	u32(2, 76-48, 76-52)          // 44: buffers, the same one twice
	u32(0)                        // 56
	u16(6, 8, 4, 0)               // 60: vtable of the subgraph: tensors
	u32(68-60, 116-72)            // 68: subgraph
	u32(76-100, 0)                // 76: buffer
	b = binary.LittleEndian.AppendUint64(b, offset)
	b = binary.LittleEndian.AppendUint64(b, size)
	u16(10, 24, 0, 8, 16, 0)           // 100: vtable of the buffer: offset and size
	u32(0)                             // 112
	u32(1, 136-120)                    // 116: tensors
	u16(10, 16, 4, 8, 12, 0)           // 124: vtable of the tensor: shape, type, buffer
	u32(136-124, 152-140, 3 /*u8*/, 1) // 136: tensor
	u32(1, 2)                          // 152: shape
	return append(b, 0xaa, 0xbb)       // 160
}

// Buffers may lie behind the FlatBuffer, in files of over 2 GiB.
func TestTFLiteBuffersOutside(t *testing.T) {
	data := outside(160, 2)
	checkTensors(t, data, layout(t, data, "m.tflite"), " u8 [2] 2:aabb")
	malformed(t, outside(160, 3), "m.tflite", "tflite", "buffer is bytes 160+3 of 162")
	malformed(t, outside(1<<63, 1<<63), "m.tflite", "tflite", "buffer is bytes 9223372036854775808+9223372036854775808 of 162")
	malformed(t, outside(160, 1), "m.tflite", "tflite", "says [2] elements of u8 but has 1 bytes")
}

func TestTFLiteLies(t *testing.T) {
	good := outside(160, 2)
	for _, c := range []struct {
		want string
		at   int
		v    uint32
	}{
		{"offset leads to byte 4294967295 of 162", 0, 0xffffffff},
		{"offset leads to byte 0", 0, 0},
		{"table has its vtable at byte", 24, 0x7fffffff},
		{"table has its vtable at byte", 24, 0x80000000},
		{"table of 12 bytes with a vtable of 65535", 8, 12<<16 | 0xffff},
		{"table of 65535 bytes", 8, 0xffff000e},
		{"field 2 at byte 65535 of a table of 12", 16, 0xffff},
		{"vector of 4294967295 elements of 4 bytes", 36, 0xffffffff},
		{"tensor in buffer 7 of 2", 148, 7},
		{"vector of 4294967295 elements of 4 bytes", 152, 0xffffffff},
		{"says [4294967295] elements of u8", 156, 0xffffffff},
	} {
		data := bytes.Clone(good)
		binary.LittleEndian.PutUint32(data[c.at:], c.v)
		malformed(t, data, "m.tflite", "tflite", c.want)
	}
	malformed(t, tfliteFile(tfTensor{name: "x", shape: []int32{3}, data: floats(2)}), "m.tflite", "tflite", `tensor "x" says [3] elements of f32 but has 8 bytes`)
}

// Offsets that alias: a vector may name one table a million times. It is
// refused, or read within bounds.
func TestTFLiteAliases(t *testing.T) {
	for _, c := range []struct {
		count int
		want  string
	}{{20_000, ""}, {200_000, "more than 131072 tensors"}} {
		data := outside(160, 2)
		// The tensors' vector moves to the end and names the tensor at 136,
		// which cannot be: offsets lead forward. So the table is copied behind.
		vector := len(data)
		binary.LittleEndian.PutUint32(data[72:], uint32(vector-72))
		data = binary.LittleEndian.AppendUint32(data, uint32(c.count))
		table := vector + 4 + 4*c.count
		for i := range c.count {
			data = binary.LittleEndian.AppendUint32(data, uint32(table-(vector+4+4*i)))
		}
		data = binary.LittleEndian.AppendUint32(data, uint32(table-124))
		data = binary.LittleEndian.AppendUint32(data, 12)
		data = append(data, 3, 0, 0, 0)
		data = binary.LittleEndian.AppendUint32(data, 1)
		data = append(data, 1, 0, 0, 0, 2, 0, 0, 0)
		err := bounded(t, 64<<20, data, "m.tflite")
		if c.want == "" {
			if err != nil {
				t.Errorf("%d aliases: %v", c.count, err)
			}
			continue
		}
		checkMalformed(t, err, "m.tflite", "tflite", int64(len(data)), c.want)
	}
}
