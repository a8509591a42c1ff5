package derive

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Binary form of factors, version 1:
//
//	byte     1
//	byte     Order
//	4 bytes  Scale, float32, little-endian
//	uvarint  Rank
//	Rank     components of U (columns), then Rank components of V (rows), each
//	         as: byte width w; if 1 <= w <= 48: varint exponent e
//	bytes    for each component: w = 0, all numbers are +0: nothing.
//	         1 <= w <= 48, numbers are integers q·2^e: the upper 8 bits of the
//	         w bits of q + 2^(w-1), a byte each.
//	         w = 64, any float32: its upper 8 bits (after a rotation left by
//	         one, so that they are the exponent), then the next 8
//	bits     for each component: the remaining w-8 or 16 bits of each number,
//	         least significant bit first; 0 to a whole byte at the end
//
// The first bytes are what an entropy coder can shorten, the bits are noise.
// The form is the only one of its numbers: widths are the least, exponents the
// greatest; but float32 numbers of which some are so much smaller than others
// that integers would have rawBits bits more than any of them needs are raw.
// So numbers of adapters take what they have in bits and their exponents, also
// those that are 16-bit numbers.
const (
	factorsVersion = 1
	rawWidth       = 64
	maxWidth       = 48
	rawBits        = 4
	leastExponent  = -400
	mostExponent   = 127
)

// component is one column of U or row of V: number i is at[i·stride].
type component struct {
	at             []float64
	stride, length int
	width          int
	exponent       int
	most           int // bits that a number needs, where measured
}

func (f *Factors) components() []component {
	all := make([]component, 0, 2*f.Rank)
	for k := range f.Rank {
		all = append(all, component{at: f.U[k:], stride: f.Rank, length: f.Rows})
	}
	for k := range f.Rank {
		all = append(all, component{at: f.V[k*f.Cols : (k+1)*f.Cols], stride: 1, length: f.Cols})
	}
	return all
}

// measured is components with widths and exponents.
func (f *Factors) measured() []component {
	all := f.components()
	for k := range all {
		all[k].measure()
	}
	return all
}

// measure sets width and exponent as the form has them; width -1: some numbers
// are neither float32 nor integers. That raw numbers are float32 where integers
// are too wide is for Validate to check.
func (c *component) measure() {
	c.width, c.exponent, c.most = 0, 0, 0
	lowest, top := math.MaxInt, math.MinInt // powers of two
	for i := range c.length {
		b := math.Float64bits(c.at[i*c.stride])
		if b == 0 {
			continue
		}
		e, m := int(b>>52&0x7ff), b&(1<<52-1)
		switch {
		case e == 0x7ff || e == 0 && m != 0:
			c.width = -1
			return
		case e == 0: // -0 is no integer
			c.width = rawWidth
			return
		}
		m |= 1 << 52
		c.most = max(c.most, 53-bits.TrailingZeros64(m))
		lowest = min(lowest, e-1075+bits.TrailingZeros64(m))
		top = max(top, e-1022)
	}
	switch {
	case top == math.MinInt:
	case top-lowest > maxWidth-1, top-lowest+1 >= c.most+rawBits && c.float32():
		c.width = rawWidth
	case lowest < leastExponent || lowest > mostExponent:
		c.width = -1
	default:
		c.width, c.exponent = top-lowest+1, lowest
	}
}

// float32 says whether all numbers are float32.
func (c *component) float32() bool {
	for i := range c.length {
		if x := c.at[i*c.stride]; float64(float32(x)) != x {
			return false
		}
	}
	return true
}

// integer returns q of number i.
func (c *component) integer(i int) int64 {
	return int64(math.Ldexp(c.at[i*c.stride], -c.exponent))
}

// low returns the bits of a number that are packed as noise.
func (c *component) low() int {
	if c.width == rawWidth {
		return 16
	}
	return max(0, c.width-8)
}

// noise returns how many of the low bits of a number are not zero.
func (c *component) noise() int {
	if c.width == rawWidth {
		return min(16, 1+max(0, c.most-9)) // the sign, and what the upper bits leave
	}
	return c.low()
}

// split returns number i's upper byte (or two bytes if raw) and its low bits.
func (c *component) split(i int) (upper, low uint64) {
	if c.width == rawWidth {
		q := uint64(bits.RotateLeft32(math.Float32bits(float32(c.at[i*c.stride])), 1))
		return q >> 16, q & 0xffff
	}
	q := uint64(c.integer(i) + 1<<(c.width-1))
	return q >> c.low(), q & (1<<c.low() - 1)
}

// join is the inverse of split.
func (c *component) join(i int, upper, low uint64) {
	if c.width == rawWidth {
		c.at[i*c.stride] = float64(math.Float32frombits(bits.RotateLeft32(uint32(upper<<16|low), -1)))
		return
	}
	q := upper<<c.low() | low
	c.at[i*c.stride] = math.Ldexp(float64(int64(q)-1<<(c.width-1)), c.exponent)
}

// bits returns how many bits the binary form has, its bytes' entropy counted.
func (f *Factors) bits() float64 {
	total := 8 * 7.0
	all := f.measured()
	for k := range all {
		c := &all[k]
		total += 16
		if c.width == 0 {
			continue
		}
		var counts [2][256]int
		for i := range c.length {
			upper, _ := c.split(i)
			counts[0][byte(upper)]++
			counts[1][byte(upper>>8)]++
		}
		total += float64(c.length*c.noise()) + entropy(counts[0][:]) + entropy(counts[1][:])
	}
	return total
}

func entropy(counts []int) float64 {
	sum, total := 0, 0.0
	for _, n := range counts {
		sum += n
	}
	for _, n := range counts {
		if n > 0 {
			total += float64(n) * math.Log2(float64(sum)/float64(n))
		}
	}
	return total
}

// AppendBinary appends the binary form of valid factors.
func (f *Factors) AppendBinary(to []byte) []byte {
	all := f.measured()
	to = append(to, factorsVersion, byte(f.Order))
	to = binary.LittleEndian.AppendUint32(to, math.Float32bits(f.Scale))
	to = binary.AppendUvarint(to, uint64(f.Rank))
	for k := range all {
		c := &all[k]
		to = append(to, byte(c.width))
		if c.width != 0 && c.width != rawWidth {
			to = binary.AppendVarint(to, int64(c.exponent))
		}
	}
	for k := range all {
		c := &all[k]
		if c.width == rawWidth {
			for i := range c.length {
				upper, _ := c.split(i)
				to = append(to, byte(upper>>8))
			}
		}
		for i := range c.length {
			if c.width == 0 {
				break
			}
			upper, _ := c.split(i)
			to = append(to, byte(upper))
		}
	}
	return appendLow(to, all)
}

// appendLow packs the low bits of all components.
func appendLow(to []byte, all []component) []byte {
	var acc uint64
	held := 0
	for k := range all {
		c := &all[k]
		if c.width == 0 {
			continue
		}
		for i := range c.length {
			_, v := c.split(i)
			acc |= v << held
			for held += c.low(); held >= 8; held -= 8 {
				to = append(to, byte(acc))
				acc >>= 8
			}
		}
	}
	if held > 0 {
		to = append(to, byte(acc))
	}
	return to
}
