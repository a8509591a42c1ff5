package mix

import (
	"encoding/binary"
	"errors"
)

// ErrEnd says that a decoder was asked for more than its input can hold.
var ErrEnd = errors.New("coded bits end early")

// slack is how many bytes past its input a decoder may look without harm: the
// length of its window.
const slack = 8

// minRange is the least width of the interval: enough for 16-bit probabilities.
const minRange = 1 << 24

// Coder codes bits one way: encoding if made by [NewEncoder], decoding if made
// by [NewDecoder].
type Coder struct {
	low, high uint64 // the interval left, bounds included
	window    uint64 // decoding: the eight bytes of input at the interval
	data      []byte // encoding: what was coded; decoding: the input
	at        int    // decoding: bytes of input taken, those past its end too
	decodes   bool
}

// NewEncoder returns a coder that appends to buf[:0].
func NewEncoder(buf []byte) *Coder {
	return &Coder{high: ^uint64(0), data: buf[:0]}
}

// NewDecoder returns a coder that reads data, which must not change meanwhile.
func NewDecoder(data []byte) *Coder {
	c := &Coder{high: ^uint64(0), data: data, decodes: true}
	for range slack {
		c.window = c.window<<8 | uint64(c.next())
	}
	return c
}

// Decodes says which way the coder goes.
func (c *Coder) Decodes() bool { return c.decodes }

// Code codes a bit whose probability of being 1 is p in 65536, 1 to 65535. It
// returns the bit: when encoding the one given, when decoding the one read.
func (c *Coder) Code(bit int, p uint32) int {
	low, high := c.low, c.high
	mid := low + (high-low)>>16*uint64(p)
	if c.decodes {
		bit = 0
		if c.window <= mid {
			bit = 1
		}
	}
	// A choice without a branch, which could not be foretold: a 1 takes the
	// interval up to mid, a 0 that above.
	one := -uint64(bit & 1)
	high ^= (high ^ mid) & one
	low += (mid + 1 - low) &^ one
	c.low, c.high = low, high
	for (c.low^c.high)>>56 == 0 {
		c.shift()
	}
	if c.high-c.low < minRange {
		c.settle()
	}
	return bit & 1
}

// settle gives up the smaller part of an interval that has become narrow
// without its bounds agreeing on a byte, so that there is always room for
// probabilities: the range coder's way around carries (D. Subbotin, 1999).
func (c *Coder) settle() {
	border := c.high &^ (minRange - 1)
	if border-c.low > c.high-border {
		c.high = border - 1
	} else {
		c.low = border
	}
	for (c.low^c.high)>>56 == 0 {
		c.shift()
	}
}

// Bits codes the low n bits of v, 0 to 32, most significant first, each as
// likely 0 as 1, and returns them.
func (c *Coder) Bits(v uint32, n int) uint32 {
	var out uint32
	for n--; n >= 0; n-- {
		out = out<<1 | uint32(c.Code(int(v>>n&1), 1<<15))
	}
	return out
}

// shift takes the byte that both bounds agree on.
func (c *Coder) shift() {
	if c.decodes {
		c.window = c.window<<8 | uint64(c.next())
	} else {
		c.data = append(c.data, byte(c.high>>56))
	}
	c.low <<= 8
	c.high = c.high<<8 | 0xff
}

func (c *Coder) next() byte {
	c.at++
	if c.at > len(c.data) {
		return 0
	}
	return c.data[c.at-1]
}

// Bytes returns how many bytes were written or, about, read.
func (c *Coder) Bytes() int {
	if c.decodes {
		return min(c.at, len(c.data))
	}
	return len(c.data)
}

// Finish returns all that was encoded, with as few bytes as tell the last
// interval; the coder is done with.
func (c *Coder) Finish() []byte {
	// The shortest string that, with zeros behind it, lies in [low, high].
	if c.low == 0 {
		return c.data
	}
	for n := 1; n <= 8; n++ {
		drop := uint(64 - 8*n)
		v := c.low>>drop<<drop + 1<<drop // the next multiple above low
		if c.low<<(8*n) == 0 && n < 8 || n == 8 {
			v = c.low
		}
		if v >= c.low && v <= c.high {
			var tail [8]byte
			binary.BigEndian.PutUint64(tail[:], v)
			return append(c.data, tail[:n]...)
		}
	}
	return c.data // not reached: eight bytes tell any value
}

// Err returns [ErrEnd] if a decoder has read further past the end of its input
// than an encoder's output makes it.
func (c *Coder) Err() error {
	if c.decodes && c.at > len(c.data)+slack {
		return ErrEnd
	}
	return nil
}
