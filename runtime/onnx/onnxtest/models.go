package onnxtest

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dunlin-mesh/dunlin/internal/onnxpb"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
)

// Subject is engine, to be tried with models that are made here.
func Subject(tb testing.TB, engine modelrt.Engine) enginetest.Subject {
	tb.Helper()
	return enginetest.Subject{
		Engine:    engine,
		Double:    enginetest.WriteFile(tb, "double.onnx", encode(tb, double())),
		Endless:   enginetest.WriteFile(tb, "endless.onnx", encode(tb, endless())),
		Malformed: enginetest.WriteFile(tb, "malformed.onnx", []byte("\x08\x08 this is no model")),
	}
}

// double is y = x + x.
func double() *onnxpb.GraphProto {
	return &onnxpb.GraphProto{
		Name: new("double"), Input: vector("x"), Output: vector("y"),
		Node: []*onnxpb.NodeProto{{OpType: new("Add"), Input: []string{"x", "x"}, Output: []string{"y"}}},
	}
}

// endless turns the sign of x 2^40 times.
func endless() *onnxpb.GraphProto {
	const scalar = 0
	body := &onnxpb.GraphProto{
		Name:   new("body"),
		Input:  append([]*onnxpb.ValueInfoProto{value("i", onnxpb.TensorProto_INT64, scalar), value("going", onnxpb.TensorProto_BOOL, scalar)}, vector("v")...),
		Output: append([]*onnxpb.ValueInfoProto{value("go_on", onnxpb.TensorProto_BOOL, scalar)}, vector("next")...),
		Node: []*onnxpb.NodeProto{
			{OpType: new("Identity"), Input: []string{"going"}, Output: []string{"go_on"}},
			{OpType: new("Neg"), Input: []string{"v"}, Output: []string{"next"}},
		},
	}
	return &onnxpb.GraphProto{
		Name: new("endless"), Input: vector("x"), Output: vector("y"),
		Initializer: []*onnxpb.TensorProto{
			{Name: new("times"), DataType: new(int32(onnxpb.TensorProto_INT64)), Int64Data: []int64{1 << 40}},
			{Name: new("yes"), DataType: new(int32(onnxpb.TensorProto_BOOL)), Int32Data: []int32{1}},
		},
		Node: []*onnxpb.NodeProto{{
			OpType: new("Loop"), Input: []string{"times", "yes", "x"}, Output: []string{"y"},
			Attribute: []*onnxpb.AttributeProto{{Name: new("body"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: body}},
		}},
	}
}

// vector is a value of f32 and one dimension of any size.
func vector(name string) []*onnxpb.ValueInfoProto {
	return []*onnxpb.ValueInfoProto{value(name, onnxpb.TensorProto_FLOAT, 1)}
}

// value is one of rank dimensions of any size.
func value(name string, of onnxpb.TensorProto_DataType, rank int) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for range rank {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{})
	}
	tensor := &onnxpb.TypeProto_Tensor{ElemType: new(int32(of)), Shape: shape}
	return &onnxpb.ValueInfoProto{Name: new(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}}
}

func encode(tb testing.TB, graph *onnxpb.GraphProto) []byte {
	tb.Helper()
	data, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion: new(int64(8)), Graph: graph,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: new(int64(13))}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
