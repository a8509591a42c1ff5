package sections

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

// costs is what a window costs in each state, in bits times unit: the length of
// a description by statistics of order 0 that fit the class, statistics
// included. Nothing costs more than 8 bits a byte, so what looks like noise
// costs the same in every state.
type costs [states]int32

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
	// rimOfI16 is the seven highest bits of magnitudes that int16 hardly has.
	// Subnormal negative half floats look like that.
	rimOfI16 = 248
	rimBits  = 4
	// tinyBits is what a subnormal costs more, or a bfloat16 below tinyBF16, 1e-19,
	// where hardly any is negative: small integers taken for floats.
	tinyBits = 4
	tinyBF16 = 64
)

// scale says how windows are weighed.
type scale struct {
	widest int // elements of more bytes are left out: they cost more than anything
	margin int // an array must be cheaper by 1/margin than bytes that are none
}

// weigh sets what the bytes data[from:] cost in each state. They begin at a
// multiple of 8; of what comes before, data[from-1] at least is there unless
// from is 0.
func (s *scanner) weigh(out *costs, data []byte, from int, by scale) {
	t := &s.tally
	before := byte(0)
	if from > 0 {
		before = data[from-1]
	}
	t.count(before, data[from:])
	var planes [8]total
	for width := 8; width > 1; t.fold(width) {
		for k := range width {
			planes[k] = s.logs.total(t.plane[k][1:])
			planes[k].varies = 0
			for b, c := range t.plane[k] {
				if c > 0 {
					planes[k].varies |= b
				}
			}
		}
		for c := range s.table {
			st := &s.table[c]
			switch {
			case st.width != width:
			case width > by.widest:
				out[c] = int32(t.n * 16 * unit)
			case st.class == codec.I16 || st.class == codec.I32 || st.class == codec.I64:
				out[c] = int32(s.integers(t, st, t.zeros(st)))
			default:
				out[c] = int32(s.floats(t, st, t.zeros(st), &planes))
			}
		}
		width /= 2
	}
	out[other] = int32(s.bytes(t, data, from))
	out[other+1] = int32(s.small(t))
	margin := out[other] / int32(by.margin)
	text := isText(&t.plane[0], t.n)
	if text {
		margin = int32(t.n * 8 * unit)
	}
	for c := other + 1; c < states; c++ {
		out[c] += margin
		if c == other+1 && !text {
			out[c] -= margin * 7 / 8
		}
	}
}

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
	if left == 0 {
		return 0
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

// floats is the cost of floating point numbers: zero or not, then the entropy of
// the exponent and of the sign, and mantissas that are uniform or end in zeros.
// planes are the counts of bytes that are not zero.
func (s *scanner) floats(t *tally, st *state, zeros int, planes *[8]total) int {
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
		plane := s.logs.with(planes[at], int(t.plane[at][0])-zeros)
		if at == before {
			sum += min(mantissa*full*unit, s.logs.entropy(plane))
			continue
		}
		// Zero in numbers that are not, or uniform above the bits that are never set.
		short := int(t.plane[at][0]) - zeros
		width := max(8-bits.TrailingZeros(uint(plane.varies|256)), 0)
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

// kernel weighs the neighbours of a value at distances 1 to 4.
var kernel = [4]int{4, 3, 2, 1}

// spike says whether a byte's count is no matter of its neighbours': zero in
// pruned arrays, and both ends of the range in clipped ones.
func spike(b int) bool { return b == 0 || b == 127 || b == 128 || b == 129 }

// small is the cost of elements of one byte: each value as likely as the
// values around it say, itself not asked. Text, whose neighbouring letters are
// of different frequency, gains nothing from that.
func (s *scanner) small(t *tally) int {
	h := &t.plane[0]
	spikes, rest, sum := 0, 0, 0
	for b, c := range h {
		if spike(b) {
			spikes += int(c)
			sum -= int(s.logs.nlog[c])
			if c > 0 && int(c) < t.n {
				sum += 2*unit + int(s.logs.log[t.n])/2
			}
		} else {
			rest += int(c)
		}
	}
	sum += int(s.logs.nlog[t.n]) - int(s.logs.nlog[rest])
	// The values on the likelier side tell, because pruned arrays have a gap around
	// zero, or the value of the other sign.
	var near [256]int
	total := 0
	for b := range h {
		if spike(b) {
			continue
		}
		var below, above int
		for d, w := range kernel {
			if v := (b + d + 1) & 255; !spike(v) {
				above += w * int(h[v])
			}
			if v := (b - d - 1) & 255; !spike(v) {
				below += w * int(h[v])
			}
		}
		near[b] = max(above, below, 10*int(h[-b&255])) + 1
		total += near[b]
	}
	all := s.logs.of(max(total, 1))
	for b, c := range h {
		if c > 0 && !spike(b) {
			sum += int(c) * int(all-s.logs.of(near[b]))
		}
	}
	return min(sum, s.mirrored(t), t.n*8*unit)
}

// mirrored is the cost of elements of one byte of which as many are negative as
// positive: entropy of the magnitude, and a bit for the sign. Text has none.
func (s *scanner) mirrored(t *tally) int {
	h := &t.plane[0]
	var sizes [129]uint16
	for b := range 128 {
		sizes[b] = h[b] + h[-b&255]
	}
	sizes[0], sizes[128] = h[0], h[128]
	return s.logs.entropy(s.logs.total(sizes[:])) + (t.n-int(h[0]))*unit
}

// isText says whether of n bytes nine in ten are printable ASCII.
func isText(h *[256]uint16, n int) bool {
	printable := int(h['\t']) + int(h['\n']) + int(h['\r'])
	for _, c := range h[' ' : '~'+1] {
		printable += int(c)
	}
	return printable*10 >= n*9
}
