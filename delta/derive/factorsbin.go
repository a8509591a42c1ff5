package derive

import (
	"bytes"
	"encoding/binary"
	"fmt"
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
//	         as: byte width w; if 1 <= w <= 25: varint exponent e
//	bytes    for each component: w = 0, all numbers are +0: nothing.
//	         1 <= w <= 25, numbers are integers q·2^e: the upper 8 bits of the
//	         w bits of q + 2^(w-1), a byte each.
//	         w = 32, any float32: its upper 8 bits (after a rotation left by
//	         one, so that they are the exponent), then the next 8
//	bits     for each component: the remaining w-8 or 16 bits of each number,
//	         least significant bit first; 0 to a whole byte at the end
//
// The first bytes are what an entropy coder can shorten, the bits are noise.
// The form is the only one of its numbers: widths and exponents are the least.
const (
	factorsVersion = 1
	rawWidth       = 32
	maxWidth       = 25
)

// component is one column of U or row of V: number i is at[i·stride].
type component struct {
	at             []float32
	stride, length int
	width          int
	exponent       int
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

// measure sets width and exponent to the least that hold all numbers.
func (c *component) measure() {
	c.width, c.exponent = 0, math.MaxInt
	top := 0 // exponent of a power of two above all magnitudes
	for i := range c.length {
		x := c.at[i*c.stride]
		b := math.Float32bits(x)
		if b == 0 {
			continue
		}
		if b == 1<<31 { // -0 is no integer
			c.width = rawWidth
			return
		}
		e, m := int(b>>23&0xff), b&0x7fffff
		if e == 0 {
			e = 1
		} else {
			m |= 1 << 23
		}
		e -= 150
		if c.width == 0 {
			top = math.MinInt
		}
		c.width = 1
		c.exponent = min(c.exponent, e+bits.TrailingZeros32(m))
		top = max(top, e+bits.Len32(m))
	}
	if c.width == 0 {
		return
	}
	if top-c.exponent > maxWidth-1 {
		c.width = rawWidth
		return
	}
	c.width = top - c.exponent + 1
}

// bits returns how many bits the binary form has, its bytes' entropy counted.
func (f *Factors) bits() float64 {
	total := 8 * 10.0
	for _, c := range f.components() {
		c.measure()
		total += 16
		if c.width == 0 {
			continue
		}
		var counts [2][256]int
		planes := 1
		if c.width == rawWidth {
			planes = 2
		}
		for i := range c.length {
			upper, _ := c.split(i)
			for p := range planes {
				counts[p][byte(upper>>(8*(planes-1-p)))]++
			}
		}
		for p := range planes {
			total += entropy(counts[p][:])
		}
		total += float64(c.length * c.low())
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

// low returns the bits of a number that are packed as noise.
func (c *component) low() int {
	if c.width == rawWidth {
		return 16
	}
	return max(0, c.width-8)
}

// split returns number i's upper byte (or two bytes if raw) and its low bits.
func (c *component) split(i int) (upper, low uint32) {
	x := c.at[i*c.stride]
	var q uint32
	if c.width == rawWidth {
		q = bits.RotateLeft32(math.Float32bits(x), 1)
	} else {
		q = uint32(int32(math.Ldexp(float64(x), -c.exponent)) + 1<<(c.width-1))
	}
	return q >> c.low(), q & (1<<c.low() - 1)
}

// join is the inverse of split.
func (c *component) join(i int, upper, low uint32) {
	q := upper<<c.low() | low
	if c.width == rawWidth {
		c.at[i*c.stride] = math.Float32frombits(bits.RotateLeft32(q, -1))
		return
	}
	c.at[i*c.stride] = float32(math.Ldexp(float64(int32(q)-1<<(c.width-1)), c.exponent))
}

// AppendBinary appends the binary form of valid factors.
func (f *Factors) AppendBinary(to []byte) []byte {
	to = append(to, factorsVersion, byte(f.Order))
	to = binary.LittleEndian.AppendUint32(to, math.Float32bits(f.Scale))
	to = binary.AppendUvarint(to, uint64(f.Rank))
	all := f.components()
	for k := range all {
		c := &all[k]
		c.measure()
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
	var acc uint64
	held := 0
	for k := range all {
		c := &all[k]
		low := c.low()
		if c.width == 0 || low == 0 {
			continue
		}
		for i := range c.length {
			_, v := c.split(i)
			acc |= uint64(v) << held
			for held += low; held >= 8; held -= 8 {
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

// ParseFactors reads the binary form of factors for a matrix of rows rows of
// cols elements. It accepts nothing but what AppendBinary makes; memory is
// bounded by the length of b and 16 MiB. It wraps [ErrFactors].
func ParseFactors(b []byte, rows, cols int) (Factors, error) {
	f, ok := parseFactors(b, rows, cols)
	if !ok || f.Validate() != nil || !bytes.Equal(f.AppendBinary(make([]byte, 0, len(b))), b) {
		return Factors{}, fmt.Errorf("%d bytes of factors for %d x %d: %w", len(b), rows, cols, ErrFactors)
	}
	return f, nil
}

func parseFactors(b []byte, rows, cols int) (f Factors, ok bool) {
	if len(b) < 7 || b[0] != factorsVersion || rows < 1 || cols < 1 || rows > maxFactorElements || cols > maxFactorElements {
		return f, false
	}
	f = Factors{Rows: rows, Cols: cols, Order: Order(b[1]), Scale: math.Float32frombits(binary.LittleEndian.Uint32(b[2:]))}
	rank, n := binary.Uvarint(b[6:])
	if n <= 0 || rank < 1 || rank > MaxRank || int(rank)*(rows+cols) > maxFactorElements {
		return f, false
	}
	b = b[6+n:]
	f.Rank = int(rank)
	// Components of zeros take no bytes: an update of rank over one is bounded
	// by what is left.
	f.U, f.V = make([]float32, f.Rank*rows), make([]float32, f.Rank*cols)
	all := f.components()
	var whole, low int
	for k := range all {
		c := &all[k]
		if len(b) == 0 {
			return f, false
		}
		c.width, b = int(b[0]), b[1:]
		switch {
		case c.width == 0:
			continue
		case c.width == rawWidth:
			whole += 2 * c.length
		case c.width <= maxWidth:
			e, n := binary.Varint(b)
			if n <= 0 || e < -149 || e > 127 {
				return f, false
			}
			c.exponent, b = int(e), b[n:]
			whole += c.length
		default:
			return f, false
		}
		low += c.low() * c.length
	}
	if len(b) != whole+(low+7)/8 {
		return f, false
	}
	upper, packed := b[:whole], b[whole:]
	var acc uint64
	held := 0
	for k := range all {
		c := &all[k]
		if c.width == 0 {
			continue
		}
		first := upper[:c.length]
		upper = upper[c.length:]
		var second []byte
		if c.width == rawWidth {
			second, upper = upper[:c.length], upper[c.length:]
		}
		bitsOfLow := c.low()
		for i, x := range first {
			for held < bitsOfLow {
				acc |= uint64(packed[0]) << held
				packed = packed[1:]
				held += 8
			}
			v := uint32(acc) & (1<<bitsOfLow - 1)
			acc >>= bitsOfLow
			held -= bitsOfLow
			if second != nil {
				c.join(i, uint32(x)<<8|uint32(second[i]), v)
			} else {
				c.join(i, uint32(x), v)
			}
		}
	}
	return f, true
}
