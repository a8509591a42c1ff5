package runtime

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// MarshalJSON gives {"dtype":"f32","shape":[1,2],"data":[0.5,1]}, the elements
// in row-major order and each in the fewest digits that give the same bits
// back. Floats that are no JSON numbers are the strings "NaN", "Infinity" and
// "-Infinity" (a NaN loses its payload); bools are true and false.
func (t Tensor) MarshalJSON() ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	out := fmt.Appendf(nil, `{"dtype":%q,"shape":[`, string(t.DType))
	for i, n := range t.Shape {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	out = append(out, `],"data":[`...)
	size := t.DType.Size()
	for at := 0; at < len(t.Data); at += size {
		if at > 0 {
			out = append(out, ',')
		}
		out = appendElement(out, t.DType, t.Data[at:at+size])
	}
	return append(out, "]}"...), nil
}

// appendElement appends the JSON form of one element.
func appendElement(out []byte, d DType, b []byte) []byte {
	switch d {
	case F32:
		return appendFloat(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 32)
	case F64:
		return appendFloat(out, math.Float64frombits(binary.LittleEndian.Uint64(b)), 64)
	case F16:
		return appendFloat(out, float64(f16ToF32(binary.LittleEndian.Uint16(b))), 32)
	case BF16:
		return appendFloat(out, float64(bf16ToF32(binary.LittleEndian.Uint16(b))), 32)
	case I8:
		return strconv.AppendInt(out, int64(int8(b[0])), 10)
	case U8:
		return strconv.AppendUint(out, uint64(b[0]), 10)
	case I16:
		return strconv.AppendInt(out, int64(int16(binary.LittleEndian.Uint16(b))), 10)
	case U16:
		return strconv.AppendUint(out, uint64(binary.LittleEndian.Uint16(b)), 10)
	case I32:
		return strconv.AppendInt(out, int64(int32(binary.LittleEndian.Uint32(b))), 10)
	case U32:
		return strconv.AppendUint(out, uint64(binary.LittleEndian.Uint32(b)), 10)
	case I64:
		return strconv.AppendInt(out, int64(binary.LittleEndian.Uint64(b)), 10)
	case U64:
		return strconv.AppendUint(out, binary.LittleEndian.Uint64(b), 10)
	}
	return strconv.AppendBool(out, b[0] != 0) // BOOL: Validate knows no other
}

func appendFloat(out []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(out, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(out, `"-Infinity"`...)
	}
	return strconv.AppendFloat(out, v, 'g', -1, bits)
}
