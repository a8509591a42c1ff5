package delta

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// field names what a number of the plan means, so that like learns from like.
type field int

const (
	fieldKind field = iota
	fieldLength
	fieldOffset // of old bytes, less where the last ones ended
	fieldClass
	fieldCols
	fieldTop
	fieldLevel
	fieldTable
	fieldSize
	fieldBack
	fieldTransform
	fieldShape
	fieldSkip
	fieldPeriod
	fields
)

// numbers codes the numbers of a plan: the length in bits by adaptive bits, then
// the bits below the first, of which the upper three adapt too.
type numbers struct {
	length [fields][128]mix.Slot
	upper  [fields][65 * 8]mix.Slot
}

// numberLimit is how many bits the slots of numbers and of orders remember. Part
// of the format.
const numberLimit = 30

func newNumbers() *numbers {
	n := new(numbers)
	for f := range fields {
		mix.Fill(n.length[f][:])
		mix.Fill(n.upper[f][:])
	}
	return n
}

// code codes v and returns it.
func (n *numbers) code(c *mix.Coder, f field, v uint64) uint64 {
	length, node := bits.Len64(v), 1
	for i := 6; i >= 0; i-- {
		node = node*2 | n.length[f][node].Code(c, length>>i&1, numberLimit)
	}
	length = min(node-128, 64)
	if length == 0 {
		return 0
	}
	out, tree := uint64(1), 1
	for i := length - 2; i >= 0; i-- {
		bit := int(v >> i & 1)
		if tree < 8 {
			bit = n.upper[f][length*8+tree].Code(c, bit, numberLimit)
			tree = tree*2 | bit
		} else {
			bit = int(c.Bits(uint32(bit), 1))
		}
		out = out<<1 | uint64(bit)
	}
	return out
}

// signed codes v, which may be negative.
func (n *numbers) signed(c *mix.Coder, f field, v int64) int64 {
	u := n.code(c, f, uint64(v)<<1^uint64(v>>63))
	return int64(u>>1) ^ -int64(u&1)
}
