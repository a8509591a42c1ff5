package derive

import (
	"context"
	"encoding/binary"
	"math"
)

// blockElements is the elements of a GGUF block of the simple types.
const blockElements = 32

// block describes a block type: d and m are binary16, then high bits, then
// numbers (ggml-common.h).
type block struct {
	bytes int
	bits  int
	shift bool // m and d, numbers from 0; else d, numbers around 0
}

func blockOf(k Kind) (block, bool) {
	switch k {
	case Q8_0:
		return block{34, 8, false}, true
	case Q4_0:
		return block{18, 4, false}, true
	case Q4_1:
		return block{20, 4, true}, true
	case Q5_0:
		return block{22, 5, false}, true
	case Q5_1:
		return block{24, 5, true}, true
	}
	return block{}, false
}

// findBlocks recognises a block type by the bytes of a row, and compares a
// sample.
func (c *Conversion) findBlocks(ctx context.Context, old, next *Matrix) (bool, error) {
	if old.Class.Width() > 4 || c.width()%blockElements != 0 {
		return false, nil
	}
	c.Kind = 0
	for k := Q8_0; k < kinds; k++ {
		if b, _ := blockOf(k); c.width()/blockElements*b.bytes == width(next) {
			c.Kind = k
		}
	}
	if c.Kind == 0 {
		return false, nil
	}
	basis := make([]byte, width(next))
	same, all := 0, 0
	err := eachRow(ctx, old, next, spread(c.Rows, max(1, 1<<16/c.width())), 0, c.width(), func(_ int, a, b []byte) error {
		c.blockRow(a, basis)
		for i, x := range basis {
			if x == b[i] {
				same++
			}
		}
		all += len(basis)
		return nil
	})
	return same > all/4, err
}

// blockRow writes a row of blocks, as quantize_row_*_ref of ggml does, in
// float32 with every product and sum rounded.
func (c *Conversion) blockRow(old, basis []byte) {
	b, _ := blockOf(c.Kind)
	var x [blockElements]float32
	for at := 0; at < c.width(); at += blockElements {
		for j := range x {
			x[j] = math.Float32frombits(bits32(c.From, old, at+j))
		}
		to := basis[at/blockElements*b.bytes:][:b.bytes]
		if c.Kind == Q8_0 {
			blockQ8(&x, to)
		} else {
			b.nibbles(&x, to)
		}
	}
}

func blockQ8(x *[blockElements]float32, to []byte) {
	most := float32(0)
	for _, v := range x {
		if a := abs32(v); a > most {
			most = a
		}
	}
	d := most / 127
	inverse := float32(0)
	if d != 0 {
		inverse = 1 / d
	}
	binary.LittleEndian.PutUint16(to, narrowF16(math.Float32bits(d)))
	for j, v := range x {
		to[2+j] = byte(toInt(math.Round(float64(float32(v * inverse)))))
	}
}

// nibbles writes the block types of 4 and 5 bits.
func (b block) nibbles(x *[blockElements]float32, to []byte) {
	var d, base, half float32
	levels := float32(int(1)<<b.bits - 1)
	if b.shift {
		low, high := float32(math.MaxFloat32), float32(-math.MaxFloat32)
		for _, v := range x {
			if v < low {
				low = v
			}
			if v > high {
				high = v
			}
		}
		d, base, half = float32(high-low)/levels, low, 0.5
	} else {
		most, signed := float32(0), float32(0)
		for _, v := range x {
			if a := abs32(v); a > most {
				most, signed = a, v
			}
		}
		middle := float32(int(1) << (b.bits - 1))
		d, half = signed/-middle, middle+0.5
	}
	inverse := float32(0)
	if d != 0 {
		inverse = 1 / d
	}
	binary.LittleEndian.PutUint16(to, narrowF16(math.Float32bits(d)))
	to = to[2:]
	if b.shift {
		binary.LittleEndian.PutUint16(to, narrowF16(math.Float32bits(base)))
		to = to[2:]
	}
	var high []byte
	if b.bits == 5 {
		high, to = to[:4], to[4:]
	}
	var top uint32
	for j := range blockElements / 2 {
		q0 := level(x[j], base, inverse, half, levels)
		q1 := level(x[j+blockElements/2], base, inverse, half, levels)
		to[j] = byte(q0&15 | q1&15<<4)
		top |= q0>>4<<j | q1>>4<<(j+blockElements/2)
	}
	if high != nil {
		binary.LittleEndian.PutUint32(high, top)
	}
}

func level(v, base, inverse, half, levels float32) uint32 {
	y := float32(float32(float32(v-base)*inverse) + half)
	return uint32(min(toInt(math.Trunc(float64(y))), int64(levels)))
}

func abs32(v float32) float32 {
	return math.Float32frombits(math.Float32bits(v) & 0x7fffffff)
}

// toInt converts an integral number; one that is not finite, or over 2^40, gives
// the same on every architecture.
func toInt(x float64) int64 {
	if !(math.Abs(x) < 1<<40) {
		return 0
	}
	return int64(x)
}
