package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// bounds are how far magnitudes that became zero and such that did not reach.
type bounds struct{ hi, lo int64 }

// unknown bounds say nothing yet.
var unknown = bounds{-1, 1 << 62}

// place says on which side of the bounds a magnitude lies: 1 where others became
// zero, 2 where others stayed, 3 where both did, 0 between.
func (b *bounds) place(mag int64) int {
	switch {
	case mag <= b.hi && mag < b.lo:
		return 1
	case mag > b.hi && mag >= b.lo:
		return 2
	case mag <= b.hi:
		return 3
	}
	return 0
}

// note takes in what became of a magnitude.
func (b *bounds) note(mag int64, zero bool) {
	if zero {
		b.hi = max(b.hi, mag)
	} else {
		b.lo = min(b.lo, mag)
	}
}

// near says how far a magnitude is from the bounds, in few steps.
func (b *bounds) near(mag int64) int {
	return min(bits.Len64(uint64(max(mag-b.hi, 0))), 7)<<3 | min(bits.Len64(uint64(max(b.lo-mag, 0))), 7)
}

// becomesZero codes whether an element becomes zero: pruning takes those of a
// tensor, or of a row's own scale, that are smallest.
func (m *Model) becomesZero(c *mix.Coder, v, b int64) bool {
	mag := m.f.magnitude(b)
	all, row := m.pruned.place(mag), m.prunedRow.place(mag)
	n := bits.Len64(uint64(mag))
	fine := 0
	if n > 4 {
		fine = int(mag>>(n-4)) & 7
	} else {
		fine = int(mag) & 7
	}
	if m.f.float {
		fine = int(mag>>(m.f.mantissa-3)) & 7
		n = m.f.exp(b) & 63
	}
	m.at[0] = &m.zero[0][(all*4+row)*3+signOf(m.left[0])]
	m.at[1] = &m.zero[1][n<<3|fine]
	m.at[2] = &m.zero[2][row<<6|m.prunedRow.near(mag)]
	m.at[3] = &m.zero[3][row<<6|m.prunedLast.near(mag)]
	bit := 0
	if v == 0 {
		bit = 1
	}
	zero := m.bit4(c, m.zeros, all*4+row, bit, 1000) != 0
	m.pruned.note(mag, zero)
	m.prunedRow.note(mag, zero)
	return zero
}
