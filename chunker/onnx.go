package chunker

import (
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

const onnxFormat = "onnx"

// Bounds of an ONNX model: subgraphs in subgraphs, and versions of the format
// (the newest is about 12).
const (
	maxGraphDepth = 32
	maxIRVersion  = 999
)

// Field numbers of ONNX's messages
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const (
	modelIRVersion, modelGraph, modelOpset, modelTraining, modelFunctions = 1, 7, 8, 20, 25
	trainingInit, trainingAlgorithm                                       = 1, 2
	functionNode                                                          = 7
	graphNode, graphInitializer, graphSparse                              = 1, 5, 15
	nodeOutput, nodeName, nodeAttribute                                   = 2, 3, 5
	attributeName, attributeT, attributeG                                 = 1, 5, 6
	attributeTensors, attributeGraphs                                     = 10, 11
	attributeSparse, attributeSparses                                     = 22, 23
	sparseValues, sparseIndices                                           = 1, 2
)

// modelFields are the fields of ModelProto with their wire types: what tells an
// ONNX model from other bytes, since the format has no magic number.
var modelFields = map[protowire.Number]protowire.Type{
	modelIRVersion: protowire.VarintType,
	2:              protowire.BytesType,  // producer_name
	3:              protowire.BytesType,  // producer_version
	4:              protowire.BytesType,  // domain
	5:              protowire.VarintType, // model_version
	6:              protowire.BytesType,  // doc_string
	modelGraph:     protowire.BytesType,
	modelOpset:     protowire.BytesType,
	14:             protowire.BytesType, // metadata_props
	modelTraining:  protowire.BytesType,
	modelFunctions: protowire.BytesType,
	26:             protowire.BytesType, // configuration
}

// onnxDecoder walks a model's messages and gathers the tensors in them.
type onnxDecoder struct {
	src      *source
	inside   tensorTable
	external tensorTable
}

// decodeONNX reads an ONNX model: the initializers of the graph, of subgraphs
// in node attributes, of functions and of training graphs, and the tensors in
// node attributes, as those of Constant nodes. It goes over each message
// twice at most and keeps nothing but the tensors.
func decodeONNX(src *source) (*structure, error) {
	d := &onnxDecoder{src: src}
	if err := d.model(span{0, src.size}); err != nil {
		return nil, err
	}
	tensors, err := d.inside.separate(src, onnxFormat)
	if err != nil {
		return nil, err
	}
	return &structure{format: onnxFormat, tensors: tensors, external: d.external.sorted()}, nil
}

func (d *onnxDecoder) model(m span) error {
	byName := strings.EqualFold(path.Ext(d.src.name), ".onnx")
	var version uint64
	var graphs, opsets int
	for f, err := range d.src.fields(onnxFormat, m) {
		if err != nil {
			return err
		}
		if kind, known := modelFields[f.number]; known && kind != f.kind || !known && !byName {
			return d.malformed(f.at, "field %d of wire type %d is none of a model's", f.number, f.kind)
		}
		switch f.number {
		case modelIRVersion:
			version = f.value
		case modelOpset:
			opsets++
		case modelGraph:
			graphs++
			err = d.graph(f.span, 1)
		case modelTraining:
			err = d.training(f.span)
		case modelFunctions:
			err = d.nodes(f.span, functionNode, 1)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case version == 0 || version > maxIRVersion:
		return d.malformed(m.end, "ir_version is %d, want 1 to %d", version, maxIRVersion)
	case graphs != 1:
		return d.malformed(m.end, "%d graphs, want 1", graphs)
	case opsets == 0 && version >= 3:
		return d.malformed(m.end, "no opset_import: the file is cut short")
	}
	return nil
}

func (d *onnxDecoder) malformed(at int64, reason string, args ...any) error {
	return d.src.malformed(onnxFormat, at, reason, args...)
}

func (d *onnxDecoder) training(m span) error {
	return d.each(m, func(f *field) error {
		if f.number == trainingInit || f.number == trainingAlgorithm {
			return d.graph(f.span, 1)
		}
		return nil
	})
}

// each calls do for the fields of m that hold messages or bytes.
func (d *onnxDecoder) each(m span, do func(*field) error) error {
	for f, err := range d.src.fields(onnxFormat, m) {
		if err != nil {
			return err
		}
		if f.kind != protowire.BytesType {
			continue
		}
		if err := do(&f); err != nil {
			return err
		}
	}
	return nil
}

func (d *onnxDecoder) graph(m span, depth int) error {
	if depth > maxGraphDepth {
		return d.malformed(m.start, "subgraphs nest more than %d deep", maxGraphDepth)
	}
	return d.each(m, func(f *field) error {
		switch f.number {
		case graphNode:
			return d.node(f.span, depth)
		case graphInitializer:
			return d.tensor(f.span, "")
		case graphSparse:
			return d.sparse(f.span, "")
		}
		return nil
	})
}

// nodes reads the nodes in the field number of the message m.
func (d *onnxDecoder) nodes(m span, number protowire.Number, depth int) error {
	return d.each(m, func(f *field) error {
		if f.number == number {
			return d.node(f.span, depth)
		}
		return nil
	})
}

// node reads a node's attributes. What they hold is named after the node's
// first output, which is unique in its graph, since tensors in attributes have
// no name of their own or all the same.
func (d *onnxDecoder) node(m span, depth int) error {
	var output, name span
	attributes := false
	err := d.each(m, func(f *field) error {
		switch f.number {
		case nodeOutput:
			if output.bytes() == 0 {
				output = f.span
			}
		case nodeName:
			name = f.span
		case nodeAttribute:
			attributes = true
		}
		return nil
	})
	if err != nil || !attributes {
		return err
	}
	if output.bytes() == 0 {
		output = name
	}
	owner, err := d.src.text(output)
	if err != nil {
		return err
	}
	return d.each(m, func(f *field) error {
		if f.number == nodeAttribute {
			return d.attribute(f.span, owner, depth)
		}
		return nil
	})
}

// attribute reads the tensors and graphs in an attribute of the node named
// owner: "owner" for an attribute "value", otherwise "owner.attribute", with
// its index if there are several.
func (d *onnxDecoder) attribute(m span, owner string, depth int) error {
	index := 0
	return d.each(m, func(f *field) error {
		switch f.number {
		case attributeName:
			name, err := d.src.text(f.span)
			if name != "value" {
				owner += "." + name
			}
			return err
		case attributeG, attributeGraphs:
			return d.graph(f.span, depth+1)
		case attributeT, attributeSparse, attributeTensors, attributeSparses:
			base := owner
			if f.number == attributeTensors || f.number == attributeSparses {
				base += "." + strconv.Itoa(index)
				index++
			}
			if f.number == attributeSparse || f.number == attributeSparses {
				return d.sparse(f.span, base)
			}
			return d.tensor(f.span, base)
		}
		return nil
	})
}

// sparse reads the values and the indices of a sparse tensor named base, or as
// its values are.
func (d *onnxDecoder) sparse(m span, base string) error {
	return d.each(m, func(f *field) error {
		switch f.number {
		case sparseValues:
			return d.tensor(f.span, base)
		case sparseIndices:
			if base == "" {
				return d.tensor(f.span, "")
			}
			return d.tensor(f.span, base+".indices")
		}
		return nil
	})
}
