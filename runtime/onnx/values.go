//go:build cgo && (linux || darwin)

package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// makeInputs makes the library's values of checked inputs, in the order of
// ports. On an error the values made so far are returned too. The values refer
// to the inputs' bytes, which are pinned.
func makeInputs(ports []modelrt.Port, inputs map[string]modelrt.Tensor, pinner *runtime.Pinner) ([]ort.Value, error) {
	out := make([]ort.Value, 0, len(ports))
	for _, p := range ports {
		v, err := makeValue(inputs[p.Name], pinner)
		if err != nil {
			return out, fmt.Errorf("%w: input %q: %w", modelrt.ErrInput, p.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// makeValue makes a value over the bytes of a valid tensor.
func makeValue(t modelrt.Tensor, pinner *runtime.Pinner) (ort.Value, error) {
	if len(t.Shape) == 0 {
		return makeScalar(t)
	}
	data := t.Data
	if len(data) == 0 {
		data = make([]byte, 8) // the binding wants an address, even of nothing
	}
	if uintptr(unsafe.Pointer(&data[0]))%uintptr(t.DType.Size()) != 0 {
		data = aligned(data)
	}
	pinner.Pin(&data[0])
	return ort.NewCustomDataTensor(t.Shape, data, toORT(t.DType))
}

// aligned returns a copy of data at an address that is good for every type.
func aligned(data []byte) []byte {
	words := make([]uint64, (len(data)+7)/8)
	out := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)[:len(data)]
	copy(out, data)
	return out
}

// makeScalar makes a value without dimensions; the binding copies its bytes.
func makeScalar(t modelrt.Tensor) (ort.Value, error) {
	var bits uint64
	for i, b := range t.Data {
		bits |= uint64(b) << (8 * i)
	}
	switch t.DType {
	case modelrt.F32:
		return ort.NewScalar(math.Float32frombits(uint32(bits)))
	case modelrt.F64:
		return ort.NewScalar(math.Float64frombits(bits))
	case modelrt.I8:
		return ort.NewScalar(int8(bits))
	case modelrt.U8:
		return ort.NewScalar(uint8(bits))
	case modelrt.I16:
		return ort.NewScalar(int16(bits))
	case modelrt.U16:
		return ort.NewScalar(uint16(bits))
	case modelrt.I32:
		return ort.NewScalar(int32(bits))
	case modelrt.U32:
		return ort.NewScalar(uint32(bits))
	case modelrt.I64:
		return ort.NewScalar(int64(bits))
	case modelrt.U64:
		return ort.NewScalar(bits)
	case modelrt.BOOL:
		return ort.NewScalar(bits != 0)
	}
	return nil, fmt.Errorf("scalars of %s cannot be handled, only tensors of it", t.DType)
}

// takeOutputs turns the values of a run into tensors that own their bytes.
func takeOutputs(ports []modelrt.Port, values []ort.Value) (map[string]modelrt.Tensor, error) {
	out := make(map[string]modelrt.Tensor, len(ports))
	for i, p := range ports {
		t, ok := takeValue(values[i])
		if !ok || t.DType != p.DType {
			return nil, fmt.Errorf("%w: output %q is not the %s that the model states", modelrt.ErrRun, p.Name, p.DType)
		}
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("%w: output %q: %w", modelrt.ErrRun, p.Name, err)
		}
		out[p.Name] = t
	}
	return out, nil
}

// takeValue returns the tensor in v. Its bytes are the binding's own Go slice,
// which nothing else refers to once v is destroyed.
func takeValue(v ort.Value) (modelrt.Tensor, bool) {
	var dtype modelrt.DType
	var data []byte
	switch v := v.(type) {
	case *ort.CustomDataTensor:
		d, ok := fromORT(ort.TensorElementDataType(v.DataType()))
		if !ok {
			return modelrt.Tensor{}, false
		}
		size, err := modelrt.ByteSize(d, v.GetShape())
		if err != nil || size > int64(len(v.GetData())) {
			return modelrt.Tensor{}, false
		}
		dtype, data = d, v.GetData()[:size]
	case *ort.Tensor[float32]:
		dtype, data = modelrt.F32, asBytes(v.GetData())
	case *ort.Tensor[float64]:
		dtype, data = modelrt.F64, asBytes(v.GetData())
	case *ort.Tensor[int8]:
		dtype, data = modelrt.I8, asBytes(v.GetData())
	case *ort.Tensor[uint8]:
		dtype, data = modelrt.U8, v.GetData()
	case *ort.Tensor[int16]:
		dtype, data = modelrt.I16, asBytes(v.GetData())
	case *ort.Tensor[uint16]:
		dtype, data = modelrt.U16, asBytes(v.GetData())
	case *ort.Tensor[int32]:
		dtype, data = modelrt.I32, asBytes(v.GetData())
	case *ort.Tensor[uint32]:
		dtype, data = modelrt.U32, asBytes(v.GetData())
	case *ort.Tensor[int64]:
		dtype, data = modelrt.I64, asBytes(v.GetData())
	case *ort.Tensor[uint64]:
		dtype, data = modelrt.U64, asBytes(v.GetData())
	case *ort.Tensor[bool]:
		dtype, data = modelrt.BOOL, asBytes(v.GetData())
	default:
		return takeScalar(v)
	}
	return modelrt.Tensor{DType: dtype, Shape: slices.Clone([]int64(v.GetShape())), Data: data}, true
}

// takeScalar is takeValue for values without dimensions.
func takeScalar(v ort.Value) (modelrt.Tensor, bool) {
	var dtype modelrt.DType
	var data any
	switch v := v.(type) {
	case *ort.Scalar[float32]:
		dtype, data = modelrt.F32, v.GetData()
	case *ort.Scalar[float64]:
		dtype, data = modelrt.F64, v.GetData()
	case *ort.Scalar[int8]:
		dtype, data = modelrt.I8, v.GetData()
	case *ort.Scalar[uint8]:
		dtype, data = modelrt.U8, v.GetData()
	case *ort.Scalar[int16]:
		dtype, data = modelrt.I16, v.GetData()
	case *ort.Scalar[uint16]:
		dtype, data = modelrt.U16, v.GetData()
	case *ort.Scalar[int32]:
		dtype, data = modelrt.I32, v.GetData()
	case *ort.Scalar[uint32]:
		dtype, data = modelrt.U32, v.GetData()
	case *ort.Scalar[int64]:
		dtype, data = modelrt.I64, v.GetData()
	case *ort.Scalar[uint64]:
		dtype, data = modelrt.U64, v.GetData()
	case *ort.Scalar[bool]:
		dtype, data = modelrt.BOOL, v.GetData()
	default:
		return modelrt.Tensor{}, false
	}
	b, err := binary.Append(nil, binary.LittleEndian, data)
	return modelrt.Tensor{DType: dtype, Shape: []int64{}, Data: b}, err == nil
}

// asBytes returns the memory of a slice of numbers or bools as bytes.
func asBytes[T any](s []T) []byte {
	if len(s) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// isNil tells whether v is nil or holds a nil pointer, as the binding returns
// from a conversion that failed.
func isNil(v ort.Value) bool {
	return v == nil || reflect.ValueOf(v).IsNil()
}
