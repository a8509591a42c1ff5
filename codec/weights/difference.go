package weights

import (
	"math"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// farthest codes whether a difference of the last class is -2^63, the only one
// whose magnitude has more bits; it is of 64-bit elements.
type farthest struct{ slot mix.Slot }

func (f *farthest) init() { f.slot = mix.NewSlot }

func (f *farthest) code(c *mix.Coder, is bool) bool {
	bit := 0
	if is {
		bit = 1
	}
	return f.slot.Code(c, bit, quickLimit) != 0
}

// difference codes v by its difference from b: whether it becomes zero, the
// class of the difference, its sign and its digits.
func (m *Model) difference(c *mix.Coder, v, b int64) int64 {
	if m.params.Zeros && b != 0 {
		zero := 0
		if v == 0 {
			zero = 1
		}
		if m.pruning.code(c, &m.format, m.near.left[0], b, zero) {
			m.note(0, 0, 0)
			return 0
		}
	}
	shift := m.setDifference(b)
	d := v - b
	k := m.search.code(c, &m.at, m.least, bits.Len64(distance(v, b)))
	if k == 0 {
		m.note(0, 0, 0)
		return b
	}
	if k == lastClass {
		if m.farthest.code(c, d == math.MinInt64) {
			m.note(m.format.scale(1<<63, shift), -1, math.MinInt64)
			m.near.changed++
			return b + math.MinInt64
		}
	}
	negative := m.signs.code(c, &m.at, &m.near, k, b, signBit(d))
	mag := 1<<(k-1) | m.digits.code(c, &m.at, k, k-1, distance(v, b))
	d = int64(mag)
	if negative != 0 {
		d = -d
	}
	m.note(m.format.scale(mag, shift), 1-2*int64(negative), d)
	m.near.changed++
	return b + d
}
