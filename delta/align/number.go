package align

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

// largest bounds magnitudes, so that squares and their sums stay finite.
const largest = 1e15

// bitsAt returns number k of data as it stands.
func bitsAt(data []byte, k int, width int) uint64 {
	switch width {
	case 1:
		return uint64(data[k])
	case 2:
		return uint64(binary.LittleEndian.Uint16(data[2*k:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(data[4*k:]))
	}
	return binary.LittleEndian.Uint64(data[8*k:])
}

// value returns number k of data, which is of the matrix, as a finite float;
// NaN is 0.
func (m *Matrix) value(data []byte, k int) float32 {
	var v float64
	switch m.Class {
	case codec.F32:
		v = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*k:])))
	case codec.F16:
		v = half(binary.LittleEndian.Uint16(data[2*k:]))
	case codec.BF16:
		v = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*k:])) << 16))
	case codec.I16:
		v = float64(int16(binary.LittleEndian.Uint16(data[2*k:]) + uint16(m.lift)))
	case codec.I32:
		v = float64(int32(binary.LittleEndian.Uint32(data[4*k:])))
	case codec.F64:
		v = math.Float64frombits(binary.LittleEndian.Uint64(data[8*k:]))
	case codec.I64:
		v = float64(int64(binary.LittleEndian.Uint64(data[8*k:])))
	default:
		v = float64(int8(data[k] + uint8(m.lift)))
	}
	if v != v {
		return 0
	}
	return float32(min(max(v, -largest), largest))
}

// centre finds out whether the integers of a class that has both signs' types,
// Int8 and I16, are unsigned: seen as signed ones, those around the middle of
// their range would jump from end to end.
func (m *Matrix) centre() error {
	if w := m.Class.Width(); m.Class != codec.I16 && w != 1 {
		return nil
	}
	data := make([]byte, min(m.rowBytes(), 1<<12))
	var near, far float64
	lift := uint64(1) << (8*m.Class.Width() - 1)
	other := *m
	other.lift = lift
	take := min(m.Rows, 16)
	for r := range take {
		if err := m.read(data, int64(r)*int64(m.Rows)/int64(take)*int64(m.rowBytes())); err != nil {
			return err
		}
		for k := range len(data) / m.Class.Width() {
			v, u := float64(m.value(data, k)), float64(other.value(data, k))
			near, far = near+float64(v*v), far+float64(u*u)
		}
	}
	if far < near {
		m.lift = lift
	}
	return nil
}

// half returns the value of an IEEE 754 binary16.
func half(h uint16) float64 {
	exp, frac := int(h>>10)&31, float64(h&1023)
	v := 0.0
	switch exp {
	case 0:
		v = math.Ldexp(frac, -24)
	case 31:
		v = largest
		if frac != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+frac, exp-25)
	}
	if h>>15 != 0 {
		return -v
	}
	return v
}

// price is what the difference of two numbers' bits costs, about
// log2(1+|a-b|), in 1/16 bit; 0 if they are equal. Floats are compared as
// sign and magnitude, and cost no more than what they take without a basis:
// mantissa, sign and a bit of the exponent. Integers are compared around the
// circle of their width, which suits unsigned ones, too.
func price(a, b uint64, c codec.Class) int {
	var d int64
	most := 64 * 16
	switch c {
	case codec.F32:
		d, most = signMagnitude(a, 31)-signMagnitude(b, 31), 25*16
	case codec.F16:
		d, most = signMagnitude(a, 15)-signMagnitude(b, 15), 12*16
	case codec.BF16:
		d, most = signMagnitude(a, 15)-signMagnitude(b, 15), 9*16
	case codec.F64:
		d, most = signMagnitude(a, 63)-signMagnitude(b, 63), 54*16
	case codec.I16:
		d = int64(int16(a - b))
	case codec.I32:
		d = int64(int32(a - b))
	case codec.I64:
		d = int64(a - b)
	default:
		d = int64(int8(a - b))
	}
	if d < 0 {
		d = -d
	}
	u := uint64(d) + 1
	n := bits.Len64(u)
	// The four bits below the leading one approximate the logarithm's fraction.
	return min(most, (n-1)*16+int(u<<(64-n)<<1>>60))
}

// signMagnitude negates the bits below number sign if that one is set.
func signMagnitude(v uint64, sign int) int64 {
	m := int64(v & (1<<sign - 1))
	if v>>sign != 0 {
		return -m
	}
	return m
}
