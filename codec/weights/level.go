package weights

import "math/bits"

const (
	fraction = 8  // bits behind the point of a magnitude in averages
	reach    = 24 // exponents below the highest that averages tell apart

	averageBits = 60 // of the largest average: four fit a sum
	floatBits   = 40 // of the magnitude in averages of a float with the highest exponent
)

// level returns the logarithm of x in quarter bits, about; 0 for 0.
func level(x uint64) int {
	n := bits.Len64(x)
	if n < 3 {
		return [4]int{0, 4, 8, 10}[x&3]
	}
	return 4*n + int(x>>(n-3)&3)
}

// maxLevel is the level of the largest number.
const maxLevel = 4*64 + 3

// unlevel returns the least number of a level.
func unlevel(l int) uint64 {
	if l < 12 {
		return uint64(l / 4)
	}
	return uint64(4|l&3) << (l/4 - 3)
}

// shift returns by how many bits a difference from the basis b counts for more
// in averages: steps of a float double with each exponent.
func (f *format) shift(b int64, top int) int {
	if !f.float {
		return 0
	}
	return min(max(f.exp(b)-(top-reach), 0), reach)
}

// scale returns a difference as it counts in averages.
func (f *format) scale(d uint64, shift int) uint64 {
	d = min(d, f.most)
	if up := fraction + shift - f.drop; up >= 0 {
		return d << up
	}
	return d >> (f.drop - fraction - shift)
}

// distance returns |v-b|, exact even where the difference wraps, as it does in
// arrays of 64-bit elements.
func distance(v, b int64) uint64 {
	d := v - b
	if d < 0 {
		d = -d
	}
	return uint64(d)
}

// ofFloat returns the class of a float without basis, 63 for the exponent top
// and one less for each below, and its magnitude in averages.
func (f *format) ofFloat(v int64, top int) (class int, mag uint64) {
	e := int(f.magnitude(v) >> f.mantissa & f.exponent)
	class = min(max(e-(top-lastClass), 0), lastClass)
	frac := uint64(f.magnitude(v)) & (1<<f.mantissa - 1)
	if f.mantissa > floatBits/2 {
		frac >>= f.mantissa - floatBits/2
	} else {
		frac <<= floatBits/2 - f.mantissa
	}
	one := uint64(1)<<(floatBits/2) | frac
	if d := max(top-e, 0); d < floatBits && e > 0 {
		mag = one << (floatBits / 2) >> d
	}
	return class, mag
}

// signOf returns 0 for 0, 1 for positive numbers and 2 for negative ones.
func signOf(v int64) int {
	switch {
	case v < 0:
		return 2
	case v > 0:
		return 1
	}
	return 0
}

// signBit returns 1 for negative numbers.
func signBit(v int64) int { return int(uint64(v) >> 63) }
