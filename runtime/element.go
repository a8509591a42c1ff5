package runtime

import (
	"encoding/binary"
	"math"
)

// Len returns the number of elements of a valid tensor.
func (t Tensor) Len() int {
	if size := t.DType.Size(); size > 0 {
		return len(t.Data) / size
	}
	return 0
}

// At returns element i of a valid tensor, 0 <= i < Len, in row-major order;
// 64-bit integers are rounded to the nearest float64, bools are 0 and 1.
func (t Tensor) At(i int) float64 {
	d := t.Data
	switch t.DType {
	case F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(d[4*i:])))
	case F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(d[8*i:]))
	case F16:
		return float64(f16ToF32(binary.LittleEndian.Uint16(d[2*i:])))
	case BF16:
		return float64(bf16ToF32(binary.LittleEndian.Uint16(d[2*i:])))
	case I8:
		return float64(int8(d[i]))
	case I16:
		return float64(int16(binary.LittleEndian.Uint16(d[2*i:])))
	case U16:
		return float64(binary.LittleEndian.Uint16(d[2*i:]))
	case I32:
		return float64(int32(binary.LittleEndian.Uint32(d[4*i:])))
	case U32:
		return float64(binary.LittleEndian.Uint32(d[4*i:]))
	case I64:
		return float64(int64(binary.LittleEndian.Uint64(d[8*i:])))
	case U64:
		return float64(binary.LittleEndian.Uint64(d[8*i:]))
	}
	return float64(d[i]) // U8, BOOL
}

// IsFloat tells whether elements of this type may be NaN or infinite.
func (d DType) IsFloat() bool { return d == F32 || d == F64 || d == F16 || d == BF16 }
