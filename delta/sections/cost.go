package sections

import "github.com/dunlin-mesh/dunlin/codec"

// costs is what a window costs in each state, in bits times unit: the length of
// a description by statistics of order 0 that fit the class, statistics
// included. Nothing costs more than 8 bits a byte, so what looks like noise
// costs the same in every state.
type costs [states]int32

const (
	// strangeBits is what a number costs more that no weight is: integers and text
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
	// exponentBits is the entropy of exponents above which they count twice. A
	// normal or Laplace distribution has 2 to 2.5 bits, several of different
	// scale below 4. Half floats taken for bfloat16, whose exponent then takes in
	// three bits of the mantissa, have more than 5.
	exponentBits = 4
	// marginShare is the part of a window, 1/marginShare, by which an array must
	// be cheaper than bytes that are none.
	marginShare = 64
)

// scale sets what t costs in each state of elements up to widest bytes; in
// others it costs more than anything. t is folded up on the way.
func (s *scanner) scale(out *costs, t *tally, window []byte, widest int) {
	var planes [8]total
	for width := 8; width > 1; t.fold(width) {
		for k := range width {
			planes[k] = s.logs.total(t.plane[k][:])
		}
		for c := range s.table {
			st := &s.table[c]
			switch {
			case st.width != width:
			case width > widest:
				out[c] = int32(t.n * 16 * unit)
			case st.class == codec.I16 || st.class == codec.I32 || st.class == codec.I64:
				out[c] = int32(s.integers(t, st, &planes))
			default:
				out[c] = int32(s.floats(t, st, &planes))
			}
		}
		width /= 2
	}
	out[other] = int32(s.bytes(t, window))
	out[other+1] = int32(s.small(t))
	margin := out[other] / marginShare
	if isText(&t.plane[0], t.n) {
		margin = int32(t.n * 8 * unit)
	}
	for c := other + 1; c < states; c++ {
		out[c] += margin
	}
}

// integers is the cost of two's complement numbers: entropy of the eight
// highest bits of the magnitude and of the bytes below, which are uniform in
// numbers that reach into the bytes above. The upper half of wide ones is the
// sign again or anything.
func (s *scanner) integers(t *tally, st *state, planes *[8]total) int {
	top := &t.top[(st.phase+st.width-1)%st.width]
	var high [256]uint16
	for x := range high {
		high[x] = top[x] + top[511-x]
	}
	all := s.logs.total(high[:])
	sum := s.logs.entropy(all)
	if st.class == codec.I16 {
		sum += rimBits * count(high[rimOfI16:])
	}
	reach := all.n - int(high[0])
	for k := st.width - 2; k >= 0; k-- {
		at := (st.phase + k) % st.width
		zero, ones := t.plane[at][0], t.plane[at][255]
		cost := 0
		if k >= st.width/2 {
			cost = s.logs.sparse(planes[at], zero, ones)
		} else {
			cost = s.logs.entropy(planes[at])
		}
		sum += max(cost, 8*reach*unit)
		reach = max(reach, planes[at].n-int(zero)-int(ones))
	}
	return sum
}

// floats is the cost of floating point numbers: entropy of the exponent and of
// the sign, mantissas that are uniform or end in zeros, and nothing but the
// exponent for zero.
func (s *scanner) floats(t *tally, st *state, planes *[8]total) int {
	last, before := (st.phase+st.width-1)%st.width, (st.phase+st.width-2)%st.width
	top := &t.top[last]
	var exponents [256]uint16
	var negative, n int
	for x := range exponents {
		exponents[x] = top[x] + top[256+x]
		n += int(exponents[x])
		negative += int(top[256+x])
	}
	// Elements whose bytes may all be zero.
	zeros := int(top[0])
	if st.class == codec.F16 {
		zeros += int(top[1])
	}
	for k := range st.width - 1 {
		zeros = min(zeros, int(t.plane[(st.phase+k)%st.width][0]))
	}
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
	negative = min(negative, full)
	sign := int(s.logs.nlog[full] - s.logs.nlog[negative] - s.logs.nlog[full-negative])
	sum := spread + sign
	mantissa := 7 // bits in the byte below the top
	switch st.class {
	case codec.F16:
		sum = min(sum+2*full*unit, s.logs.entropy(planes[last]))
		mantissa = 8
		sum += hugeBits*count(exponents[f16Most+1:]) + tinyBits*tiny(top, 8, zeros)
	case codec.BF16:
		sum += max(spread-exponentBits*n*unit, 0)
		sum += hugeBits*count(exponents[f32Most+1:]) + tinyBits*tiny(top, tinyBF16, zeros)
	case codec.F32:
		sum += hugeBits * count(exponents[f32Most+1:])
	case codec.F64:
		sum += hugeBits * count(exponents[f64Most+1:])
	}
	sum += min(mantissa*full*unit, s.logs.entropy(planes[before]))
	for k := range st.width - 2 {
		at := (st.phase + k) % st.width
		sum += min(8*full*unit, s.logs.sparse(planes[at], t.plane[at][0], 0))
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

// kernelSum is the sum of kernel on both sides.
const kernelSum = 20

// spike says whether a byte's count is no matter of its neighbours': zero in
// pruned arrays, and both ends of the range in clipped ones.
func spike(b int) bool { return b == 0 || b == 127 || b == 128 || b == 129 || b == 255 }

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
	total := s.logs.of(kernelSum*rest + 256)
	for b, c := range h {
		if c == 0 || spike(b) {
			continue
		}
		near := 1
		for d, w := range kernel {
			if v := (b + d + 1) & 255; !spike(v) {
				near += w * int(h[v])
			}
			if v := (b - d - 1) & 255; !spike(v) {
				near += w * int(h[v])
			}
		}
		sum += int(c) * int(total-s.logs.of(near))
	}
	return min(sum, t.n*8*unit)
}

// isText says whether of n bytes nine in ten are printable ASCII.
func isText(h *[256]uint16, n int) bool {
	printable := int(h['\t']) + int(h['\n']) + int(h['\r'])
	for _, c := range h[' ' : '~'+1] {
		printable += int(c)
	}
	return printable*10 >= n*9
}
