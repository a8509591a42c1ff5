package sections

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	// What follows tells half floats from bfloat16. To half floats taken for
	// bfloat16, three bits of the mantissa are exponent; they are nearly uniform,
	// so that the cost is nearly the same, while the exponents of bfloat16 save
	// half a bit or more. And half floats around 0.1 are bfloat16 around 1e-12,
	// those half floats around 1.
	bf16Surcharge  = unit * 3 / 8 // on each bfloat16
	smallSurcharge = unit / 2     // on each below smallBF16, 2^-23
	smallBF16      = 104
	largeSurcharge = unit / 5 // on each half float from largeF16, 1/2, up
	largeF16       = 14
	// hugeBits is what a number costs more that no weight is: integers and text
	// taken for floats have many, or the other way round.
	hugeBits = 16
	// f32Most and f64Most are the exponents, or their eight highest bits, above
	// which a number is huge: 1e19. Below there is no such limit, because weights
	// that decay end as subnormals. f16Most, 8192, is for half floats.
	f32Most, f64Most, f16Most = 190, 143, 27
	// tinyBits is what a subnormal costs more, or a bfloat16 below tinyBF16, 1e-19,
	// where hardly any is negative: small integers taken for floats.
	tinyBits = 4
	tinyBF16 = 64
)

// floats is the cost of floating point numbers: zero or not, then the entropy of
// the exponent and of the sign, and mantissas that are uniform or end in zeros.
// planes are the counts of bytes that are not zero.
func (s *scanner) floats(t *tally, st *state, zeros int, planes *[8]plane) int {
	last, before := (st.phase+st.width-1)%st.width, (st.phase+st.width-2)%st.width
	top := &t.top[last]
	var exponents [256]uint16
	var negative, n int
	for x := range exponents {
		exponents[x] = top[x] + top[256+x]
		n += int(exponents[x])
		negative += int(top[256+x])
	}
	exponents[0] -= uint16(zeros)
	full := n - zeros
	if st.class == codec.F16 {
		for e := range 32 {
			c := uint16(0)
			for x := range 8 {
				c += exponents[8*e+x]
				exponents[8*e+x] = 0
			}
			exponents[e] = c
		}
	}
	spread := s.logs.entropy(s.logs.total(exponents[:]))
	sum := s.logs.either(n, zeros) + spread + s.logs.either(full, min(negative, full))
	mantissa := 7 // bits in the byte below the top
	switch st.class {
	case codec.F16:
		// Two bits of the mantissa, uniform but in subnormals.
		var low [4]uint16
		for x := range 8 {
			low[x/2] += top[x] + top[256+x]
		}
		low[0] -= uint16(zeros)
		subnormal := s.logs.total(low[:])
		sum += 2*(full-subnormal.n)*unit + s.logs.entropy(subnormal)
		mantissa = 8
		sum += count(exponents[largeF16:32]) * largeSurcharge / unit
		sum += hugeBits*count(exponents[f16Most+1:]) + tinyBits*tiny(top, 8, zeros)
	case codec.BF16:
		sum += full*bf16Surcharge + count(exponents[:smallBF16])*smallSurcharge/unit
		sum += hugeBits*count(exponents[f32Most+1:]) + tinyBits*tiny(top, tinyBF16, zeros)
	case codec.F32:
		sum += hugeBits * count(exponents[f32Most+1:])
	case codec.F64:
		sum += hugeBits * count(exponents[f64Most+1:])
	}
	for k := range st.width - 1 {
		at := (st.phase + k) % st.width
		counts := s.logs.with(planes[at].total, int(t.plane[at][0])-zeros)
		if at == before {
			sum += min(mantissa*full*unit, s.logs.entropy(counts))
			continue
		}
		// Zero in numbers that are not, or uniform above the bits that are never set.
		short := int(t.plane[at][0]) - zeros
		width := 8 - planes[at].trailing
		sum += min(8*full, s.logs.either(full, min(short, full))/unit+max(full-short, 0)*width) * unit
	}
	return sum
}

// count returns the sum of h times unit.
func count(h []uint16) int {
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	return sum * unit
}

// tiny returns how many numbers are below the exponent least, positive and no
// zeros, beyond four times those that are negative; times unit.
func tiny(top *[512]uint16, least, zeros int) int {
	return max(count(top[:least])-zeros*unit-4*count(top[256:256+least]), 0)
}

// plane sums up the bytes at one place modulo the width.
type plane struct {
	total        // of those that are not zero
	trailing int // bits at the low end that are zero in all, up to 8
}

// trailingZeros returns how many of their lowest bits are zero in all bytes of a plane.
func trailingZeros(plane *[256]uint16) int {
	set := 256
	for b, c := range plane {
		if c > 0 {
			set |= b
		}
	}
	return bits.TrailingZeros(uint(set))
}
