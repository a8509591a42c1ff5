package runtime

import "math"

// f16ToF32 converts IEEE 754 binary16 bits; every value is exact in binary32.
func f16ToF32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h) & 0x3ff
	switch exp {
	case 0x1f: // infinity, NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case 0: // zero, subnormal: frac * 2^-24
		v := float32(frac) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// f64ToF16 rounds to the nearest binary16, ties to even. What is too large
// becomes infinity; a NaN becomes the quiet NaN.
func f64ToF16(v float64) uint16 {
	sign := uint16(math.Float64bits(v)>>48) & 0x8000
	v = math.Abs(v)
	switch {
	case math.IsNaN(v):
		return 0x7e00
	case v >= 65520: // halfway between the largest finite value and 2^16
		return sign | 0x7c00
	case v < 0x1p-14: // subnormal: a multiple of 2^-24, which may round up to 2^-14
		return sign | uint16(math.RoundToEven(v*0x1p24))
	}
	frac, exp := math.Frexp(v) // v = frac * 2^exp, frac in [0.5, 1)
	// 11 significant bits; rounding up to 2048 carries into the exponent.
	mant := uint16(math.RoundToEven(frac * 2048))
	return sign | (uint16(exp+13)<<10 + mant)
}

// bf16ToF32 converts bfloat16 bits, exactly.
func bf16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// f64ToBF16 rounds to the nearest bfloat16, ties to even. What is too large
// becomes infinity; a NaN becomes the quiet NaN.
func f64ToBF16(v float64) uint16 {
	if math.IsNaN(v) {
		return 0x7fc0
	}
	bits := math.Float64bits(v)
	f := float32(v)
	// Rounding twice could go wrong at ties: round to odd first, by setting the
	// last bit where anything was cut off towards zero.
	if !math.IsInf(float64(f), 0) {
		if math.Abs(float64(f)) > math.Abs(v) {
			f = math.Float32frombits(math.Float32bits(f) - 1)
		}
		if float64(f) != v {
			f = math.Float32frombits(math.Float32bits(f) | 1)
		}
	} else if !math.IsInf(v, 0) {
		return uint16(bits>>48)&0x8000 | 0x7f80
	}
	b := math.Float32bits(f)
	b += 0x7fff + b>>16&1
	return uint16(b >> 16)
}
