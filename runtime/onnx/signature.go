//go:build cgo && (linux || darwin)

package onnx

import (
	"fmt"

	ort "github.com/yalue/onnxruntime_go"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// maxPorts bounds a model's inputs, and its outputs; the largest models of the
// ONNX zoo with a cache per layer have a few hundred.
const maxPorts = 4096

// readSignature returns what the model at path takes and gives, or why this
// engine cannot run such a model.
func readSignature(path string) (modelrt.Signature, error) {
	opts, err := ort.NewSessionOptions()
	if err != nil {
		return modelrt.Signature{}, err
	}
	defer func() { _ = opts.Destroy() }() // cannot fail for options that exist
	// This session never runs: no optimisation, no weights packed a second time.
	if err := opts.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
		return modelrt.Signature{}, err
	}
	if err := opts.AddSessionConfigEntry("session.disable_prepacking", "1"); err != nil {
		return modelrt.Signature{}, err
	}
	if err := opts.SetIntraOpNumThreads(1); err != nil {
		return modelrt.Signature{}, err
	}
	inputs, outputs, err := ort.GetInputOutputInfoWithOptions(path, opts)
	if err != nil {
		return modelrt.Signature{}, err
	}
	var sig modelrt.Signature
	if sig.Inputs, err = ports(inputs); err != nil {
		return modelrt.Signature{}, fmt.Errorf("input %w", err)
	}
	if sig.Outputs, err = ports(outputs); err != nil {
		return modelrt.Signature{}, fmt.Errorf("output %w", err)
	}
	if len(sig.Inputs) == 0 || len(sig.Outputs) == 0 {
		return modelrt.Signature{}, fmt.Errorf("the model has %d inputs and %d outputs, at least one of each is needed", len(sig.Inputs), len(sig.Outputs))
	}
	return sig, nil
}

func ports(infos []ort.InputOutputInfo) ([]modelrt.Port, error) {
	if len(infos) > maxPorts {
		return nil, fmt.Errorf("count is %d, at most %d", len(infos), maxPorts)
	}
	out := make([]modelrt.Port, len(infos))
	for i, info := range infos {
		if info.OrtValueType != ort.ONNXTypeTensor {
			return nil, fmt.Errorf("%q is %s, only tensors can be handled", info.Name, info.OrtValueType)
		}
		dtype, ok := fromORT(info.DataType)
		if !ok {
			return nil, fmt.Errorf("%q has elements of %s, which cannot be handled", info.Name, info.DataType)
		}
		if len(info.Dimensions) > modelrt.MaxRank {
			return nil, fmt.Errorf("%q has %d dimensions, at most %d", info.Name, len(info.Dimensions), modelrt.MaxRank)
		}
		shape := make([]int64, len(info.Dimensions))
		for j, n := range info.Dimensions {
			shape[j] = max(n, -1)
		}
		out[i] = modelrt.Port{Name: info.Name, DType: dtype, Shape: shape}
	}
	return out, nil
}

// fromORT returns our name of an element type, and whether tensors can have it.
func fromORT(t ort.TensorElementDataType) (modelrt.DType, bool) {
	for _, pair := range dtypes() {
		if pair.ort == t {
			return pair.ours, true
		}
	}
	return "", false
}

// toORT returns the library's name of an element type that tensors can have.
func toORT(d modelrt.DType) ort.TensorElementDataType {
	for _, pair := range dtypes() {
		if pair.ours == d {
			return pair.ort
		}
	}
	return ort.TensorElementDataTypeUndefined
}

type dtypePair struct {
	ours modelrt.DType
	ort  ort.TensorElementDataType
}

func dtypes() [13]dtypePair {
	return [...]dtypePair{
		{modelrt.F32, ort.TensorElementDataTypeFloat},
		{modelrt.F64, ort.TensorElementDataTypeDouble},
		{modelrt.F16, ort.TensorElementDataTypeFloat16},
		{modelrt.BF16, ort.TensorElementDataTypeBFloat16},
		{modelrt.I8, ort.TensorElementDataTypeInt8},
		{modelrt.U8, ort.TensorElementDataTypeUint8},
		{modelrt.I16, ort.TensorElementDataTypeInt16},
		{modelrt.U16, ort.TensorElementDataTypeUint16},
		{modelrt.I32, ort.TensorElementDataTypeInt32},
		{modelrt.U32, ort.TensorElementDataTypeUint32},
		{modelrt.I64, ort.TensorElementDataTypeInt64},
		{modelrt.U64, ort.TensorElementDataTypeUint64},
		{modelrt.BOOL, ort.TensorElementDataTypeBool},
	}
}
