package chunker_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
	"google.golang.org/protobuf/encoding/protowire"
)

// Builders of small model files. They write the formats by other means than
// the package reads them.

// message is a protobuf message under construction.
type message []byte

func (m message) varint(number protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), v)
}

func (m message) bytes(number protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), v)
}

func (m message) str(number protowire.Number, v string) message { return m.bytes(number, []byte(v)) }

func (m message) fixed32(number protowire.Number, v uint32) message {
	return protowire.AppendFixed32(protowire.AppendTag(m, number, protowire.Fixed32Type), v)
}

// onnxModel is a model around a graph.
func onnxModel(graph message) message {
	opset := message{}.varint(2, 17)
	return message{}.varint(1, 9).str(2, "test").bytes(7, graph).bytes(8, opset)
}

// onnxTensor is the head of a TensorProto: name, type, dims.
func onnxTensor(name string, kind uint64, dims ...uint64) message {
	m := message{}
	for _, d := range dims {
		m = m.varint(1, d)
	}
	return m.varint(2, kind).str(8, name)
}

// onnxOutside is a tensor in another file.
func onnxOutside(name, location string, offset, length int, dims ...uint64) message {
	m := onnxTensor(name, 1, dims...).varint(14, 1)
	for key, value := range map[string]string{"location": location, "offset": fmt.Sprint(offset), "length": fmt.Sprint(length)} {
		m = m.bytes(13, message{}.str(1, key).str(2, value))
	}
	return m
}

// onnxNode is a NodeProto with one output and attributes.
func onnxNode(op, output string, attributes ...message) message {
	m := message{}.str(2, output).str(4, op)
	for _, a := range attributes {
		m = m.bytes(5, a)
	}
	return m
}

// floats are count little-endian f32, all different.
func floats(count int) []byte {
	var b []byte
	for i := range count {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i)*1.5))
	}
	return b
}

// safetensorsFile puts the header in front of the data.
func safetensorsFile(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// ggufFile is a GGUF file under construction.
type ggufFile struct {
	pairs, infos         []byte
	pairCount, infoCount uint64
	alignment            int // 32 if 0
}

func ggufString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// pair adds a metadata value.
func (g *ggufFile) pair(key string, kind uint32, value []byte) {
	g.pairs = append(binary.LittleEndian.AppendUint32(ggufString(g.pairs, key), kind), value...)
	g.pairCount++
}

// info adds a tensor; dims are fastest first.
func (g *ggufFile) info(name string, kind uint32, offset uint64, dims ...uint64) {
	g.infos = binary.LittleEndian.AppendUint32(ggufString(g.infos, name), uint32(len(dims)))
	for _, d := range dims {
		g.infos = binary.LittleEndian.AppendUint64(g.infos, d)
	}
	g.infos = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(g.infos, kind), offset)
	g.infoCount++
}

// file ends in size bytes of data, aligned.
func (g *ggufFile) file(version uint32, size int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("GGUF"), version)
	b = binary.LittleEndian.AppendUint64(b, g.infoCount)
	b = binary.LittleEndian.AppendUint64(b, g.pairCount)
	b = append(append(b, g.pairs...), g.infos...)
	alignment := cmp.Or(g.alignment, 32)
	b = append(b, make([]byte, (alignment-len(b)%alignment)%alignment)...)
	return append(b, bytes.Repeat([]byte{7}, size)...)
}

// tfTensor is a tensor of a TFLite model; its buffer is its index + 1.
type tfTensor struct {
	name  string
	kind  byte
	shape []int32
	data  []byte
	share bool // uses the buffer of the tensor before
}

// tfliteFile writes a model with Google's own FlatBuffers builder.
func tfliteFile(tensors ...tfTensor) []byte {
	b := flatbuffers.NewBuilder(0)
	buffers := []flatbuffers.UOffsetT{tfBuffer(b, nil)}
	var tables []flatbuffers.UOffsetT
	for _, t := range tensors {
		if !t.share {
			buffers = append(buffers, tfBuffer(b, t.data))
		}
		name := b.CreateString(t.name)
		b.StartVector(4, len(t.shape), 4)
		for _, v := range slices.Backward(t.shape) {
			b.PrependInt32(v)
		}
		shape := b.EndVector(len(t.shape))
		b.StartObject(4)
		b.PrependUOffsetTSlot(0, shape, 0)
		b.PrependByteSlot(1, t.kind, 0)
		b.PrependUint32Slot(2, uint32(len(buffers)-1), 0)
		b.PrependUOffsetTSlot(3, name, 0)
		tables = append(tables, b.EndObject())
	}
	list := tfVector(b, tables)
	b.StartObject(1)
	b.PrependUOffsetTSlot(0, list, 0)
	subgraphs := tfVector(b, []flatbuffers.UOffsetT{b.EndObject()})
	bufferList := tfVector(b, buffers)
	b.StartObject(5)
	b.PrependUint32Slot(0, 3, 0)
	b.PrependUOffsetTSlot(2, subgraphs, 0)
	b.PrependUOffsetTSlot(4, bufferList, 0)
	b.FinishWithFileIdentifier(b.EndObject(), []byte("TFL3"))
	return bytes.Clone(b.FinishedBytes())
}

func tfBuffer(b *flatbuffers.Builder, data []byte) flatbuffers.UOffsetT {
	vector := b.CreateByteVector(data)
	b.StartObject(3)
	if len(data) > 0 {
		b.PrependUOffsetTSlot(0, vector, 0)
	}
	return b.EndObject()
}

func tfVector(b *flatbuffers.Builder, of []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(of), 4)
	for _, o := range slices.Backward(of) {
		b.PrependUOffsetT(o)
	}
	return b.EndVector(len(of))
}

// npyFile is a version 1 array file with the header as given.
func npyFile(header string, data []byte) []byte {
	header += strings.Repeat(" ", (64-(len(header)+11)%64)%64) + "\n"
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), data...)
}

// zipEntry is a file in an archive.
type zipEntry struct {
	name   string
	method uint16
	data   []byte
}

func zipFile(tb testing.TB, entries ...zipEntry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write(e.data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// sample is one small valid file of each format, a seed for fuzzing and for
// cutting short.
type sample struct {
	name   string
	format string
	data   []byte
}

func samples(tb testing.TB) []sample {
	tb.Helper()
	var gguf ggufFile
	gguf.pair("general.architecture", 8, ggufString(nil, "test"))
	gguf.pair("general.alignment", 4, []byte{32, 0, 0, 0})
	gguf.pair("tokens", 9, ggufString(binary.LittleEndian.AppendUint64([]byte{8, 0, 0, 0}, 1), "<s>"))
	gguf.info("a", 0, 0, 4, 2)
	gguf.info("b", 2, 32, 64)
	constant := message{}.str(1, "value").bytes(5, onnxTensor("", 1, 3).bytes(9, floats(3))).varint(20, 4)
	branch := message{}.bytes(1, onnxNode("Constant", "inner", constant))
	graph := message{}.
		bytes(1, onnxNode("If", "y", message{}.str(1, "then_branch").bytes(6, branch).varint(20, 5))).
		bytes(5, onnxTensor("w", 1, 2, 3).bytes(9, floats(6))).
		bytes(5, onnxTensor("f", 1, 4).bytes(4, floats(4)))
	return []sample{
		{"m.onnx", "onnx", onnxModel(graph)},
		{"m.safetensors", "safetensors", safetensorsFile(
			`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"I8","shape":[5],"data_offsets":[24,29]}}`,
			append(floats(6), 1, 2, 3, 4, 5))},
		{"m.gguf", "gguf", gguf.file(3, 32+36)},
		{"m.tflite", "tflite", tfliteFile(
			tfTensor{name: "w", kind: 0, shape: []int32{2, 2}, data: floats(4)},
			tfTensor{name: "b", kind: 9, shape: []int32{3}, data: []byte{1, 2, 3}})},
		{"m.npy", "npy", npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", floats(6))},
		{"m.npz", "npz", zipFile(tb,
			zipEntry{"a.npy", zip.Store, npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", floats(6))},
			zipEntry{"b.npy", zip.Deflate, npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", floats(6))})},
		{"m.pt", "zip", zipFile(tb, zipEntry{"archive/data/0", zip.Store, floats(8)}, zipEntry{"archive/data.pkl", zip.Deflate, floats(9)})},
		{"m.bin", "bytes", bytes.Repeat([]byte("no format at all "), 100)},
	}
}
