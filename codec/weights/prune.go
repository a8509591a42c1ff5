package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// pruning codes which elements become zero: those of a tensor, or of a row's
// own scale, that are smallest.
type pruning struct {
	sides   [4][4][3]mix.Slot // by the sides of both bounds and what was to the left
	size    [65][8]mix.Slot   // by the basis element's magnitude
	row     [4][64]mix.Slot   // by its distance from this row's bounds
	rowLast [4][64]mix.Slot   // by that from the bounds of the row above
	mixer   *mix.Mixer4

	all, this, before bounds // of the array, of this row and of the row above
}

func (p *pruning) init() {
	for i := range p.sides {
		for j := range p.sides[i] {
			mix.Fill(p.sides[i][j][:])
		}
		mix.Fill(p.row[i][:])
		mix.Fill(p.rowLast[i][:])
	}
	for i := range p.size {
		mix.Fill(p.size[i][:])
	}
	p.mixer = mix.NewMixer4(16, 1<<14, 6)
}

// begin starts an array.
func (p *pruning) begin() { p.all, p.this, p.before = unknown, unknown, unknown }

// endRow starts a row.
func (p *pruning) endRow() { p.this, p.before = unknown, p.this }

// code codes whether an element with the basis b becomes zero.
func (p *pruning) code(c *mix.Coder, f *format, left, b int64, zero int) bool {
	mag := f.magnitude(b)
	all, row := p.all.side(mag), p.this.side(mag)
	n, fine := sizeOf(f, b)
	slots := [4]*mix.Slot{
		&p.sides[all][row][signOf(left)],
		&p.size[n][fine],
		&p.row[row][p.this.distance(mag)],
		&p.rowLast[row][p.before.distance(mag)],
	}
	is := p.mixer.Code(c, all*4+row, &slots, zero, slowLimit) != 0
	p.all.note(mag, is)
	p.this.note(mag, is)
	return is
}

// sizeOf returns the logarithm of a basis element, up to 64, and the three bits
// below its first.
func sizeOf(f *format, b int64) (n, fine int) {
	mag := f.magnitude(b)
	if f.float {
		return f.exp(b) & 63, int(mag>>(f.mantissa-3)) & 7
	}
	n = bits.Len64(uint64(mag))
	return n, int(mag>>max(n-4, 0)) & 7
}

// bounds are how far magnitudes that became zero and such that did not reach.
type bounds struct{ high, low int64 }

// unknown bounds say nothing yet.
var unknown = bounds{high: -1, low: 1 << 62}

// side says on which side of the bounds a magnitude lies: 1 where others became
// zero, 2 where others stayed, 3 where both did, 0 between.
func (b *bounds) side(mag int64) int {
	side := 0
	if mag <= b.high {
		side = 1
	}
	if mag >= b.low {
		side |= 2
	}
	return side
}

func (b *bounds) note(mag int64, zero bool) {
	if zero {
		b.high = max(b.high, mag)
	} else {
		b.low = min(b.low, mag)
	}
}

// distance says how far a magnitude is from the bounds, in 8 steps each way.
func (b *bounds) distance(mag int64) int {
	up := min(bits.Len64(uint64(max(mag-b.high, 0))), 7)
	down := min(bits.Len64(uint64(max(b.low-mag, 0))), 7)
	return up<<3 | down
}
