package derive

import (
	"encoding/binary"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Conversions are on bits wherever a NaN may pass, because what hardware makes
// of its payload differs: here it keeps its sign and its upper bits and becomes
// quiet when it is narrowed, and is widened unchanged.

// widenF16 returns the float32 of an IEEE 754 binary16.
func widenF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, mantissa := uint32(h>>10)&31, uint32(h&0x3ff)
	switch exponent {
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | mantissa<<13)
	case 0: // zero or subnormal: mantissa·2^-24, exact
		f := math.Float32bits(float32(mantissa) * (1.0 / (1 << 24)))
		return math.Float32frombits(f | sign)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | mantissa<<13)
}

// narrowF16 rounds bits of a float32 to binary16, to nearest, ties to even.
func narrowF16(b uint32) uint16 {
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x477ff000: // 65520 and more round to infinity
		return sign | 0x7c00
	case b >= 0x38800000: // normal
		b -= 112 << 23
		return sign | uint16((b+0xfff+(b>>13)&1)>>13)
	case b <= 0x33000000: // half of the least subnormal, and less
		return sign
	}
	shift := 126 - b>>23 // 14..24
	m := b&0x7fffff | 0x800000
	half := uint32(1) << (shift - 1)
	return sign | uint16((m+half-1+(m>>shift)&1)>>shift)
}

// narrowBF16 rounds bits of a float32 to bfloat16, to nearest, ties to even.
func narrowBF16(b uint32) uint16 {
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + (b>>16)&1) >> 16)
}

// narrowF64 rounds bits of a float64 to those of a float32.
func narrowF64(b uint64) uint32 {
	if b&math.MaxInt64 > 0x7ff<<52 {
		return uint32(b>>32)&0x80000000 | 0x7fc00000 | uint32(b>>29)&0x7fffff
	}
	return math.Float32bits(float32(math.Float64frombits(b)))
}

// widenF32 returns the bits of the float64 of a float32's bits.
func widenF32(b uint32) uint64 {
	if b&0x7fffffff > 0x7f800000 {
		return uint64(b&0x80000000)<<32 | 0x7ff<<52 | uint64(b&0x7fffff)<<29
	}
	return math.Float64bits(float64(math.Float32frombits(b)))
}

// floating says whether elements of the class are floating point numbers.
func floating(c codec.Class) bool {
	return c == codec.F16 || c == codec.BF16 || c == codec.F32 || c == codec.F64
}

// bits32 returns element i of a row of F16, BF16, F32 or F64 as float32 bits;
// F64 is rounded.
func bits32(c codec.Class, row []byte, i int) uint32 {
	switch c {
	case codec.F16:
		return math.Float32bits(widenF16(binary.LittleEndian.Uint16(row[2*i:])))
	case codec.BF16:
		return uint32(binary.LittleEndian.Uint16(row[2*i:])) << 16
	case codec.F64:
		return narrowF64(binary.LittleEndian.Uint64(row[8*i:]))
	}
	return binary.LittleEndian.Uint32(row[4*i:])
}

// loadFloats fills dst with the elements of a row of a floating class.
func loadFloats(c codec.Class, row []byte, dst []float64) {
	switch c {
	case codec.F32:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:])))
		}
	case codec.F64:
		for i := range dst {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(row[8*i:]))
		}
	case codec.F16:
		for i := range dst {
			dst[i] = float64(widenF16(binary.LittleEndian.Uint16(row[2*i:])))
		}
	case codec.BF16:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(row[2*i:])) << 16))
		}
	}
}

// put32 stores float32 bits as element i of a row of F16, BF16 or F32.
func put32(c codec.Class, row []byte, i int, b uint32) {
	switch c {
	case codec.F16:
		binary.LittleEndian.PutUint16(row[2*i:], narrowF16(b))
	case codec.BF16:
		binary.LittleEndian.PutUint16(row[2*i:], narrowBF16(b))
	default:
		binary.LittleEndian.PutUint32(row[4*i:], b)
	}
}

// finite says whether x is neither infinite nor NaN.
func finite(x float64) bool { return x-x == 0 }

// exponents of the least normal number and of the unit in the last place
// relative to a number's exponent.
func precision(c codec.Class) (least, mantissa int) {
	switch c {
	case codec.F16:
		return -14, 10
	case codec.BF16:
		return -126, 7
	}
	return -126, 23
}
