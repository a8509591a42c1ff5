package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

// ParseContents returns the tensor of this type and shape whose elements are
// typed contents of a gRPC message; elements of BYTES are returned beside it,
// with a nil Data, and share the message's memory. FP16 and BF16 have no typed
// contents. The error wraps [ErrMalformed].
func ParseContents(dtype modelrt.DType, shape []int64, c *pb.InferTensorContents) (modelrt.Tensor, [][]byte, error) {
	count, err := Elements(shape)
	if err != nil {
		return modelrt.Tensor{}, nil, err
	}
	t := modelrt.Tensor{DType: dtype, Shape: shape}
	var have int
	switch dtype {
	case modelrt.STRING:
		if len(c.GetBytesContents()) > MaxElements {
			return t, nil, fmt.Errorf("%w: more than %d elements of BYTES", ErrMalformed, MaxElements)
		}
		have = len(c.GetBytesContents())
	case modelrt.BOOL:
		have = len(c.GetBoolContents())
		t.Data = make([]byte, have)
		for i, v := range c.GetBoolContents() {
			if v {
				t.Data[i] = 1
			}
		}
	case modelrt.I8:
		have, t.Data, err = integers(c.GetIntContents(), math.MinInt8, math.MaxInt8, 1)
	case modelrt.I16:
		have, t.Data, err = integers(c.GetIntContents(), math.MinInt16, math.MaxInt16, 2)
	case modelrt.I32:
		have, t.Data, err = integers(c.GetIntContents(), math.MinInt32, math.MaxInt32, 4)
	case modelrt.I64:
		have, t.Data, err = integers(c.GetInt64Contents(), math.MinInt64, math.MaxInt64, 8)
	case modelrt.U8:
		have, t.Data, err = integers(c.GetUintContents(), 0, math.MaxUint8, 1)
	case modelrt.U16:
		have, t.Data, err = integers(c.GetUintContents(), 0, math.MaxUint16, 2)
	case modelrt.U32:
		have, t.Data, err = integers(c.GetUintContents(), 0, math.MaxUint32, 4)
	case modelrt.U64:
		have, t.Data, err = integers(c.GetUint64Contents(), 0, math.MaxUint64, 8)
	case modelrt.F32:
		have = len(c.GetFp32Contents())
		t.Data = make([]byte, 0, 4*have)
		for _, v := range c.GetFp32Contents() {
			t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
		}
	case modelrt.F64:
		have = len(c.GetFp64Contents())
		t.Data = make([]byte, 0, 8*have)
		for _, v := range c.GetFp64Contents() {
			t.Data = binary.LittleEndian.AppendUint64(t.Data, math.Float64bits(v))
		}
	default:
		return t, nil, fmt.Errorf("%w: %s has no typed contents, send it as raw_input_contents", ErrMalformed, Datatype(dtype))
	}
	if err != nil {
		return t, nil, err
	}
	if int64(have) != count {
		return t, nil, fmt.Errorf("%w: %d typed elements of %s, shape %v asks for %d", ErrMalformed, have, Datatype(dtype), shape, count)
	}
	if dtype == modelrt.STRING {
		return t, c.GetBytesContents(), nil
	}
	return t, nil, nil
}

// integers returns how many values there are and their little-endian form,
// size bytes each, if all are within least and most.
func integers[T int32 | int64 | uint32 | uint64](values []T, least, most T, size int) (int, []byte, error) {
	out := make([]byte, 0, len(values)*size)
	var b [8]byte
	for i, v := range values {
		if v < least || v > most {
			return 0, nil, fmt.Errorf("%w: element %d is %d, not within %d and %d", ErrMalformed, i, v, least, most)
		}
		binary.LittleEndian.PutUint64(b[:], uint64(v))
		out = append(out, b[:size]...)
	}
	return len(values), out, nil
}

// NewContents returns a valid tensor as typed contents of a gRPC message, and
// false for FP16 and BF16, which have none.
func NewContents(t modelrt.Tensor) (*pb.InferTensorContents, bool) {
	c := new(pb.InferTensorContents)
	at := func(i int) []byte { return t.Data[i*t.DType.Size():] }
	count := len(t.Data) / max(t.DType.Size(), 1)
	switch t.DType {
	case modelrt.BOOL:
		c.BoolContents = each(count, func(i int) bool { return t.Data[i] != 0 })
	case modelrt.I8:
		c.IntContents = each(count, func(i int) int32 { return int32(int8(t.Data[i])) })
	case modelrt.I16:
		c.IntContents = each(count, func(i int) int32 { return int32(int16(binary.LittleEndian.Uint16(at(i)))) })
	case modelrt.I32:
		c.IntContents = each(count, func(i int) int32 { return int32(binary.LittleEndian.Uint32(at(i))) })
	case modelrt.I64:
		c.Int64Contents = each(count, func(i int) int64 { return int64(binary.LittleEndian.Uint64(at(i))) })
	case modelrt.U8:
		c.UintContents = each(count, func(i int) uint32 { return uint32(t.Data[i]) })
	case modelrt.U16:
		c.UintContents = each(count, func(i int) uint32 { return uint32(binary.LittleEndian.Uint16(at(i))) })
	case modelrt.U32:
		c.UintContents = each(count, func(i int) uint32 { return binary.LittleEndian.Uint32(at(i)) })
	case modelrt.U64:
		c.Uint64Contents = each(count, func(i int) uint64 { return binary.LittleEndian.Uint64(at(i)) })
	case modelrt.F32:
		c.Fp32Contents = each(count, func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(at(i))) })
	case modelrt.F64:
		c.Fp64Contents = each(count, func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(at(i))) })
	default:
		return nil, false
	}
	return c, true
}

func each[T any](n int, of func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = of(i)
	}
	return out
}
