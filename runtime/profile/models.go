package profile

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/dunlin-mesh/dunlin/internal/onnxpb"
)

// irVersion and opset are old enough for every library from 1.24 on, and new
// enough for every operator here.
const (
	irVersion = 8
	opset     = 17
)

// Sizes of what is measured: a layer of a middling model, whose weights lie in
// the second or third cache.
const (
	gemmRows, gemmInner, gemmColumns = 128, 1024, 1024
	convChannels, convSide           = 64, 56
)

// job is a model to measure and how many operations a run of it takes.
type job struct {
	file       string
	operations float64
	model      func() *onnxpb.ModelProto
	at         func(s *Speed) *float64
}

func jobs() []job {
	const gemm = 2 * gemmRows * gemmInner * gemmColumns
	const conv = 2 * convChannels * convChannels * convSide * convSide * 9
	return []job{
		{"gemm-f32.onnx", gemm, gemmFloat32, func(s *Speed) *float64 { return &s.GEMMFloat32 }},
		{"gemm-i8.onnx", gemm, gemmInt8, func(s *Speed) *float64 { return &s.GEMMInt8 }},
		{"conv-f32.onnx", conv, convFloat32, func(s *Speed) *float64 { return &s.ConvFloat32 }},
		{"conv-i8.onnx", conv, convInt8, func(s *Speed) *float64 { return &s.ConvInt8 }},
	}
}

// tinyFile is the model that providers are tried with, y = x + x.
const tinyFile = "tiny.onnx"

// writeModels writes the models into dir.
func writeModels(dir string) error {
	models := map[string]*onnxpb.ModelProto{tinyFile: tiny()}
	for _, j := range jobs() {
		models[j.file] = j.model()
	}
	for name, m := range models {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return fmt.Errorf("model %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("model to measure with: %w", err)
		}
	}
	return nil
}

func tiny() *onnxpb.ModelProto {
	return model("Add", []string{"x", "x"}, nil, onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT, []int64{4}, []int64{4})
}

func gemmFloat32() *onnxpb.ModelProto {
	w := tensor("w", onnxpb.TensorProto_FLOAT, floats(gemmInner*gemmColumns), gemmInner, gemmColumns)
	return model("MatMul", []string{"x", "w"}, []*onnxpb.TensorProto{w}, onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT,
		[]int64{gemmRows, gemmInner}, []int64{gemmRows, gemmColumns})
}

func gemmInt8() *onnxpb.ModelProto {
	w := tensor("w", onnxpb.TensorProto_INT8, codes(gemmInner*gemmColumns), gemmInner, gemmColumns)
	return model("MatMulInteger", []string{"x", "w"}, []*onnxpb.TensorProto{w}, onnxpb.TensorProto_UINT8, onnxpb.TensorProto_INT32,
		[]int64{gemmRows, gemmInner}, []int64{gemmRows, gemmColumns})
}

func convFloat32() *onnxpb.ModelProto {
	w := tensor("w", onnxpb.TensorProto_FLOAT, floats(convChannels*convChannels*9), convChannels, convChannels, 3, 3)
	shape := []int64{1, convChannels, convSide, convSide}
	return model("Conv", []string{"x", "w"}, []*onnxpb.TensorProto{w}, onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT, shape, shape, pads())
}

func convInt8() *onnxpb.ModelProto {
	scale := func(name string, v float32) *onnxpb.TensorProto {
		return tensor(name, onnxpb.TensorProto_FLOAT, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
	}
	constants := []*onnxpb.TensorProto{
		scale("xs", 0.02), tensor("xz", onnxpb.TensorProto_UINT8, []byte{128}),
		tensor("w", onnxpb.TensorProto_INT8, codes(convChannels*convChannels*9), convChannels, convChannels, 3, 3),
		scale("ws", 0.01), tensor("wz", onnxpb.TensorProto_INT8, []byte{0}),
		scale("ys", 0.05), tensor("yz", onnxpb.TensorProto_UINT8, []byte{128}),
	}
	shape := []int64{1, convChannels, convSide, convSide}
	return model("QLinearConv", []string{"x", "xs", "xz", "w", "ws", "wz", "ys", "yz"}, constants,
		onnxpb.TensorProto_UINT8, onnxpb.TensorProto_UINT8, shape, shape, pads())
}

// model is y = op(inputs) with x given and constants fixed.
func model(op string, inputs []string, constants []*onnxpb.TensorProto, in, out onnxpb.TensorProto_DataType, inShape, outShape []int64, attributes ...*onnxpb.AttributeProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{
		IrVersion:    proto.Int64(irVersion),
		ProducerName: new("dunlin"),
		OpsetImport:  []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(opset)}},
		Graph: &onnxpb.GraphProto{
			Name:        new(op),
			Node:        []*onnxpb.NodeProto{{OpType: new(op), Input: inputs, Output: []string{"y"}, Attribute: attributes}},
			Initializer: constants,
			Input:       []*onnxpb.ValueInfoProto{value("x", in, inShape)},
			Output:      []*onnxpb.ValueInfoProto{value("y", out, outShape)},
		},
	}
}

func value(name string, elem onnxpb.TensorProto_DataType, shape []int64) *onnxpb.ValueInfoProto {
	dims := make([]*onnxpb.TensorShapeProto_Dimension, len(shape))
	for i, n := range shape {
		dims[i] = &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: n}}
	}
	return &onnxpb.ValueInfoProto{Name: new(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: new(int32(elem)), Shape: &onnxpb.TensorShapeProto{Dim: dims}},
	}}}
}

func tensor(name string, elem onnxpb.TensorProto_DataType, data []byte, shape ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: new(name), DataType: new(int32(elem)), Dims: shape, RawData: data}
}

func pads() *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: new("pads"), Type: onnxpb.AttributeProto_INTS.Enum(), Ints: []int64{1, 1, 1, 1}}
}

// floats are n small float32 that are neither all alike nor denormal.
func floats(n int) []byte {
	out := make([]byte, 0, 4*n)
	for i := range n {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(i%251-125)/1000))
	}
	return out
}

// codes are n int8.
func codes(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i % 251)
	}
	return out
}
