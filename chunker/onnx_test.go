package chunker_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// onnxWith is a model with the tensors as initializers.
func onnxWith(tensors ...message) []byte {
	graph := message{}
	for _, t := range tensors {
		graph = graph.bytes(5, t)
	}
	return onnxModel(graph)
}

// Every element type of ONNX with its width; what a layout has no word for is
// bytes, whatever its length.
func TestONNXElementTypes(t *testing.T) {
	want := map[uint64]struct {
		dtype manifest.DType
		bytes int // of 3 elements
	}{
		1: {"f32", 12}, 2: {"u8", 3}, 3: {"i8", 3}, 4: {"u16", 6}, 5: {"i16", 6}, 6: {"i32", 12}, 7: {"i64", 24},
		9: {"bool", 3}, 10: {"f16", 6}, 11: {"f64", 24}, 12: {"u32", 12}, 13: {"u64", 24}, 14: {"c64", 24},
		15: {"c128", 48}, 16: {"bf16", 6}, 17: {"f8e4m3", 3}, 18: {"f8e4m3", 3}, 19: {"f8e5m2", 3}, 20: {"f8e5m2", 3},
		21: {"u4", 2}, 22: {"i4", 2}, 23: {"bytes", 2}, 24: {"bytes", 3}, 99: {"bytes", 7},
	}
	for kind, w := range want {
		data := onnxWith(onnxTensor("x", kind, 3).bytes(9, make([]byte, w.bytes)))
		l := layout(t, data, "m.onnx")
		if len(l.Tensors) != 1 || l.Tensors[0].DType != w.dtype || l.Tensors[0].Length != uint64(w.bytes) {
			t.Errorf("type %d: %+v, want %s in %d bytes", kind, l.Tensors, w.dtype, w.bytes)
		}
	}
}

// Typed fields: packed floats are arrays as they lie in memory; packed varints
// are bytes; what is scattered over many fields is no tensor at all.
func TestONNXTypedFields(t *testing.T) {
	doubles := binary.LittleEndian.AppendUint64(nil, math.Float64bits(2.5))
	varints := protowire.AppendVarint(protowire.AppendVarint(nil, 300), 1)
	data := onnxWith(
		onnxTensor("float", 1, 2).bytes(4, floats(2)),
		onnxTensor("complex", 14, 1).bytes(4, floats(2)),
		onnxTensor("double", 11, 1).bytes(10, doubles),
		onnxTensor("int32", 6, 2).bytes(5, varints),
		onnxTensor("half", 10, 2).bytes(5, varints),
		onnxTensor("int4", 22, 3).bytes(5, varints),
		onnxTensor("int64", 7, 2).bytes(7, varints),
		onnxTensor("uint64", 13, 2).bytes(11, varints),
		onnxTensor("unpacked", 1, 2).fixed32(4, 1).fixed32(4, 2),
		onnxTensor("in two", 1, 2).bytes(4, floats(1)).bytes(4, floats(1)),
		onnxTensor("strings", 8, 2).str(6, "a").str(6, "b"),
		onnxTensor("empty", 1, 0, 5).bytes(9, nil),
		onnxTensor("scalar", 1).bytes(9, floats(1)),
		message{}.bytes(1, protowire.AppendVarint(protowire.AppendVarint(nil, 2), 1)).varint(2, 1).str(8, "packed dims").bytes(9, floats(2)),
	)
	checkTensors(t, data, layout(t, data, "m.onnx"),
		"float f32 [2] 8:000000000000c03f",
		"complex c64 [1] 8:000000000000c03f",
		"double f64 [1] 8:0000000000000440",
		"int32 bytes [] 3:ac0201",
		"half bytes [] 3:ac0201",
		"int4 bytes [] 3:ac0201",
		"int64 bytes [] 3:ac0201",
		"uint64 bytes [] 3:ac0201",
		"scalar f32 [] 4:00000000",
		"packed dims f32 [2 1] 8:000000000000c03f",
	)
}

// Tensors in attributes, in subgraphs, functions and training graphs, dense
// and sparse; named after their node's output.
func TestONNXNestedTensors(t *testing.T) {
	value := func(n int) message {
		return message{}.str(1, "value").bytes(5, onnxTensor("const_tensor", 1, uint64(n)).bytes(9, floats(n))).varint(20, 4)
	}
	sparse := func(name string) message {
		return message{}.
			bytes(1, onnxTensor(name, 1, 2).bytes(9, floats(2))).
			bytes(2, onnxTensor("at", 7, 2).bytes(9, make([]byte, 16))).varint(3, 100)
	}
	branch := func(output string) message {
		return message{}.bytes(1, onnxNode("Constant", output, value(1))).bytes(5, onnxTensor(output+".w", 1, 1).bytes(9, floats(1)))
	}
	graph := message{}.
		bytes(1, onnxNode("Constant", "c", value(2))).
		bytes(1, onnxNode("If", "y",
			message{}.str(1, "then_branch").bytes(6, branch("then")),
			message{}.str(1, "else_branch").bytes(6, branch("else")))).
		bytes(1, onnxNode("Many", "many",
			message{}.str(1, "list").
				bytes(10, onnxTensor("", 1, 1).bytes(9, floats(1))).
				bytes(10, onnxTensor("", 1, 1).bytes(9, floats(1))))).
		bytes(1, onnxNode("Graphs", "graphs", message{}.str(1, "bodies").bytes(11, branch("body")))).
		bytes(1, onnxNode("Constant", "s", message{}.str(1, "sparse_value").bytes(22, sparse("")))).
		bytes(15, sparse("sparse"))
	model := onnxModel(graph).
		bytes(25, message{}.str(1, "f").bytes(7, onnxNode("Constant", "in function", value(1)))).
		bytes(20, message{}.bytes(1, branch("init")).bytes(2, branch("train")))
	const one = " f32 [1] 4:00000000"
	const two = " f32 [2] 8:000000000000c03f"
	const indices = " i64 [2] 16:000000000000000000000000"
	checkTensors(t, model, layout(t, model, "m.onnx"),
		"c"+two, "then"+one, "then.w"+one, "else"+one, "else.w"+one, "many.list.0"+one, "many.list.1"+one,
		"body"+one, "body.w"+one, "s.sparse_value"+two, "s.sparse_value.indices"+indices,
		"sparse"+two, "at"+indices, "in function"+one, "init"+one, "init.w"+one, "train"+one, "train.w"+one)
}

// Without the extension, bytes that are nearly a model are no model; with it
// they are a malformed one. With it, fields of a later version are passed over.
func TestONNXIsToldByStructure(t *testing.T) {
	model := onnxWith(onnxTensor("w", 1, 2).bytes(9, floats(2)))
	for what, data := range map[string][]byte{
		"text":         []byte("version https://git-lfs.github.com/spec/v1\n"),
		"no graph":     message{}.varint(1, 9),
		"two graphs":   append(bytes.Clone(model), message{}.bytes(7, nil)...),
		"no version":   model[2:],
		"wild version": append(bytes.Clone(model), message{}.varint(1, 1<<40)...),
		"no opset":     message{}.varint(1, 9).bytes(7, nil),
		"wrong type":   append(bytes.Clone(model), message{}.varint(2, 1)...),
	} {
		if l := layout(t, data, "weights.bin"); l.Format != "bytes" {
			t.Errorf("%s: format %q, want bytes", what, l.Format)
		}
		malformed(t, data, "m.onnx", "onnx", "")
	}
	later := append(bytes.Clone(model), message{}.str(77, "new")...)
	if l := layout(t, later, "weights.bin"); l.Format != "bytes" {
		t.Errorf("unknown field: format %q, want bytes", l.Format)
	}
	if l := layout(t, later, "m.ONNX"); l.Format != "onnx" || len(l.Tensors) != 1 {
		t.Errorf("unknown field in a .onnx: format %q, %d tensors", l.Format, len(l.Tensors))
	}
}

func TestONNXLies(t *testing.T) {
	for want, tensor := range map[string]message{
		`tensor "x" says 10 elements of f32 but has 12 bytes`:           onnxTensor("x", 1, 10).bytes(9, floats(3)),
		`tensor "x" says 2 elements of f32 but has 12 bytes`:            onnxTensor("x", 1, 2).bytes(4, floats(3)),
		`tensor "x" says 9 elements of i64 but has 3 bytes`:             onnxTensor("x", 7, 9).bytes(7, []byte{1, 2, 3}),
		`tensor "x" says 1 elements of i64 but has 20 bytes`:            onnxTensor("x", 7, 1).bytes(7, make([]byte, 20)),
		`tensor "x" says 10 elements of f32 but has 0 bytes`:            onnxTensor("x", 1, 10),
		`tensor "x" says 0 elements of f32 but has 4 bytes`:             onnxTensor("x", 1, 0).bytes(9, floats(1)),
		`tensor "x" says 3 elements of f32 but has 1, and 0 bytes`:      onnxTensor("x", 1, 3).fixed32(4, 1),
		`tensor "" has more elements than fit 64 bits`:                  onnxTensor("x", 1, 1<<40, 1<<40),
		`tensor "x" says 4611686018427387904 elements of f32 but has 4`: onnxTensor("x", 1, 1<<62).bytes(9, floats(1)),
		`tensor "" has dimension -1`:                                    onnxTensor("x", 1, math.MaxUint64),
		`tensor "x" has data in fields 9 and 4`:                         onnxTensor("x", 1, 1).bytes(9, floats(1)).bytes(4, floats(1)),
		`external data location: invalid name: path "../../etc/passwd"`: onnxOutside("x", "../../etc/passwd", 0, 4, 1),
		`external data location: invalid name: path "/etc/passwd"`:      onnxOutside("x", "/etc/passwd", 0, 4, 1),
		`external data location of 600 bytes, at most 512`:              onnxOutside("x", strings.Repeat("a", 600), 0, 4, 1),
		`external data offset is no number`:                             onnxOutside("x", "d", -1, 4, 1),
		`tensor "x" lies in another file, but does not say in which`:    onnxTensor("x", 1, 1).varint(14, 1),
		`tensor "x" says 2 elements of f32 but has 4 bytes in "d"`:      onnxOutside("x", "d", 0, 4, 2),
		`field 9 of 100 bytes, 2 left`:                                  append(onnxTensor("x", 1, 1), 9<<3|2, 100, 0, 0),
		`field 9 of 18446744073709551615 bytes, 0 left`:                 append(onnxTensor("x", 1, 1), append([]byte{9<<3 | 2}, protowire.AppendVarint(nil, math.MaxUint64)...)...),
		`no varint`:              append(onnxTensor("x", 1, 1), bytes.Repeat([]byte{0xff}, 12)...),
		`field 1 of wire type 3`: append(onnxTensor("x", 1, 1), 1<<3|3),
		`field number 0`:         append(onnxTensor("x", 1, 1), 0),
	} {
		malformed(t, onnxWith(tensor), "m.onnx", "onnx", want)
	}
}

// files makes a variant of files in memory.
func files(contents map[string][]byte, order ...string) []chunker.File {
	var out []chunker.File
	for _, name := range order {
		data := contents[name]
		out = append(out, chunker.File{Path: name, Size: int64(len(data)), Open: func() (chunker.Reader, error) {
			return memoryFile{bytes.NewReader(data)}, nil
		}})
	}
	return out
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// The data file beside a model has the model's tensors, also in a folder below
// and if it comes first; tensors that are shared are one.
func TestExternalDataIsLaidOutByItsModel(t *testing.T) {
	unknownLength := onnxTensor("no length", 1, 2).varint(14, 1).bytes(13, message{}.str(1, "location").str(2, "./m.data"))
	contents := map[string][]byte{
		"a/m.data": bytes.Repeat(floats(16), 4),
		"a/m.onnx": onnxWith(
			onnxOutside("w", "m.data", 64, 128, 32),
			onnxOutside("tied", "m.data", 64, 128, 32),
			onnxOutside("inner", "m.data", 96, 8, 2),
			unknownLength,
			onnxTensor("here", 1, 1).bytes(9, floats(1))),
		"config.json": []byte("{}"),
	}
	list := files(contents, "a/m.data", "a/m.onnx", "config.json")
	got, err := chunker.Layouts(t.Context(), list, chunker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "no length f32 [2] 0+8\ntied f32 [32] 64+128\n"; got[0].Format != "onnx-data" || lines(got[0]) != want {
		t.Errorf("data file as %q:\n%swant\n%s", got[0].Format, lines(got[0]), want)
	}
	if got[1].Format != "onnx" || len(got[1].Tensors) != 1 || got[2].Format != "bytes" {
		t.Errorf("model as %q with %d tensors, config as %q", got[1].Format, len(got[1].Tensors), got[2].Format)
	}
	for i := range got {
		if err := got[i].Validate(); err != nil || got[i].Size != uint64(list[i].Size) {
			t.Errorf("%s: size %d, %v", list[i].Path, got[i].Size, err)
		}
	}
}

func TestLayoutsErrors(t *testing.T) {
	contents := map[string][]byte{"a.bin": []byte("abc")}
	if _, err := chunker.Layouts(t.Context(), files(contents, "a.bin"), chunker.Options{DType: "int16"}); err == nil {
		t.Error("an unknown dtype was taken")
	}
	list := []chunker.File{{Path: "a.bin", Size: 3, Open: func() (chunker.Reader, error) { return nil, errDisk }}}
	if _, err := chunker.Layouts(t.Context(), list, chunker.Options{}); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "a.bin") {
		t.Errorf("a file that does not open: %v", err)
	}
	got, err := chunker.Layouts(t.Context(), files(contents, "a.bin"), chunker.Options{DType: "i16"})
	if err != nil || got[0].Format != "array" || got[0].Tensors[0].Length != 2 {
		t.Errorf("hint: %+v, %v", got, err)
	}
}

func TestExternalDataLies(t *testing.T) {
	contents := map[string][]byte{
		"m.onnx": onnxWith(onnxOutside("w", "m.data", 64, 128, 32)),
		"m.data": make([]byte, 100),
	}
	for want, order := range map[string][]string{
		`tensor "w" is bytes 64+128 of "m.data", which has 100`:              {"m.onnx", "m.data"},
		`tensor "w" lies in "m.data", which is not among the variant's file`: {"m.onnx"},
	} {
		_, err := chunker.Layouts(t.Context(), files(contents, order...), chunker.Options{})
		checkMalformed(t, err, "m.onnx", "onnx", int64(len(contents["m.onnx"])), want)
	}
}
