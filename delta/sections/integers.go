package sections

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	// rimOfI16 is the eight highest bits of magnitudes that int16 hardly has, and
	// rimBits what they cost more. Subnormal negative half floats look like that.
	rimOfI16 = 248
	rimBits  = 4
)

// integers is the cost of two's complement numbers: zero or not, then the
// entropy of the eight highest bits of the magnitude, more coarsely where there
// are many, and of the bytes below, which are uniform in numbers that reach
// into the bytes above.
func (s *scanner) integers(t *tally, st *state, zeros int) int {
	top := &t.top[(st.phase+st.width-1)%st.width]
	// Buckets as in a floating point number of two bits.
	var buckets [32]uint16
	n, uniform := 0, 0
	for x := range 256 {
		c := top[x] + top[511-x]
		if c == 0 {
			continue
		}
		n += int(c)
		shift := max(bits.Len(uint(x))-3, 0)
		buckets[4*shift+x>>shift] += c
		uniform += int(c) * shift
		if st.class == codec.I16 && x >= rimOfI16 {
			uniform += int(c) * rimBits
		}
	}
	reach := n - int(top[0]+top[511])
	buckets[0] -= uint16(zeros)
	sum := s.logs.either(n, zeros) + s.logs.entropy(s.logs.total(buckets[:])) + uniform*unit
	for k := st.width - 2; k >= 0; k-- {
		at := (st.phase + k) % st.width
		plane := &t.plane[at]
		sum += 8*reach*unit + s.rest(plane, n, zeros, reach)
		reach = max(reach, n-int(plane[0])-int(plane[255]))
	}
	return sum
}

// rest is the cost of those of n bytes, counted in plane, that are left when
// zeros and uniform ones are taken away.
func (s *scanner) rest(plane *[256]uint16, n, zeros, uniform int) int {
	left := max(n-zeros-uniform, 0)
	if left <= n/64 {
		return 8 * left * unit
	}
	var h [256]uint16
	sum := 0
	for b, c := range plane {
		if b == 0 {
			c -= uint16(min(zeros, int(c)))
		}
		if r := 256*int(c) - uniform; r > 0 {
			h[b] = uint16((r + 128) / 256)
			sum += int(h[b])
		}
	}
	if sum == 0 {
		return 0
	}
	return s.logs.entropy(s.logs.total(h[:])) * left / sum
}
