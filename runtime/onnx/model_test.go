//go:build cgo && (linux || darwin)

package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// model is an ONNX model of one operator, y, y1... = op(x), for what no real
// model in the corpus has. Field numbers: onnx/onnx.proto of the ONNX project.
type model struct {
	opset    uint64
	op       string
	in, out  valueType
	attrs    []byte      // encoded NodeProto.attribute fields
	inputs   []string    // of the operator; default: x
	tensors  []byte      // encoded GraphProto.initializer fields
	moreOuts []valueType // y1, y2...
}

// valueType is a tensor type; -1 is an unknown dimension.
type valueType struct {
	elem   uint64
	shape  []int64
	noRank bool
}

// Element types of TensorProto.DataType.
const (
	elemFloat = 1
	elemInt64 = 7
	elemStr   = 8
	elemHalf  = 10
	elemBF16  = 16
)

func f32Type(shape ...int64) valueType { return valueType{elem: elemFloat, shape: shape} }

func field(b []byte, num protowire.Number, sub []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), sub)
}

func number(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// attrInt is a NodeProto.attribute of type INT.
func attrInt(name string, v uint64) []byte {
	a := field(nil, 1, []byte(name))
	a = number(a, 3, v)
	return field(nil, 5, number(a, 20, 2))
}

func (v valueType) encode(name string) []byte {
	tensor := number(nil, 1, v.elem)
	if !v.noRank {
		var shape []byte
		for _, n := range v.shape {
			var dim []byte
			if n >= 0 {
				dim = number(nil, 1, uint64(n))
			}
			shape = field(shape, 1, dim)
		}
		tensor = field(tensor, 2, shape)
	}
	info := field(nil, 1, []byte(name))
	return field(info, 2, field(nil, 1, tensor))
}

func (m model) encode() []byte {
	inputs := m.inputs
	if inputs == nil {
		inputs = []string{"x"}
	}
	var node []byte
	for _, in := range inputs {
		node = field(node, 1, []byte(in))
	}
	node = field(node, 2, []byte("y"))
	for i := range m.moreOuts {
		node = field(node, 2, fmt.Appendf(nil, "y%d", i+1))
	}
	node = field(node, 4, []byte(m.op))
	node = append(node, m.attrs...)
	graph := field(nil, 1, node)
	graph = field(graph, 2, []byte("g"))
	graph = append(graph, m.tensors...)
	graph = field(graph, 11, m.in.encode("x"))
	graph = field(graph, 12, m.out.encode("y"))
	for i, v := range m.moreOuts {
		graph = field(graph, 12, v.encode(fmt.Sprintf("y%d", i+1)))
	}
	out := number(nil, 1, 8) // ir_version
	out = field(out, 7, graph)
	return field(out, 8, number(nil, 2, m.opset))
}
