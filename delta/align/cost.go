package align

import (
	"context"
	"math/bits"
	"slices"
)

const (
	costRows = 256 // sampled of a matrix, at most
	costCols = 32  // sampled of a row, at most
	costIn   = 16  // sampled of an element, at most

	leastToFound = 24 // 1/256 bit a number that a new permutation must save
	leastToJoin  = 8  // and one that is there already
	leastBits    = 24 // that any must save of a matrix, for it is named there
)

// option is a basis that is tried: old units of the new rows and columns; nil
// for as they stand.
type option struct{ rows, cols []int32 }

// evidence is what a sample says of an option.
type evidence struct {
	tally
	xy, xx, yy float64 // sums of products of the basis x and the numbers y
}

// add takes in a number and its basis.
func (e *evidence) see(x, y float32, price int) {
	e.add(price)
	e.xy += float64(float64(x) * float64(y))
	e.xx += float64(float64(x) * float64(x))
	e.yy += float64(float64(y) * float64(y))
}

// bits estimates what a number costs, in 1/256 bit, where it costs chance with
// a stranger as basis: the price of the difference, or if numbers only
// correlate, what normal distributions would save, -log2(1-r²)/2 (Cover,
// Thomas, "Elements of Information Theory", 2006, section 8.5).
func (e *evidence) bits(chance int64) int64 {
	cost := 16 * e.price / max(1, e.numbers)
	if e.xx == 0 || e.yy == 0 {
		return min(cost, chance)
	}
	r2 := min(float64(e.xy/e.xx)*float64(e.xy/e.yy), 1-1.0/(1<<20))
	n := uint64(1 / (1 - r2) * (1 << 20)) // 2^20 to 2^40
	whole := bits.Len64(n) - 1
	log := int64(whole-20)<<8 + int64(n<<(63-whole)<<1>>56)
	return min(cost, chance-log/2)
}

// costs estimates, in 1/256 bit, what a number of the new matrix costs with
// each option as basis, on one sample for all.
func costs(ctx context.Context, p Pair, options []option) ([]int64, error) {
	m := p.Old
	w := m.Class.Width()
	seen := make([]evidence, len(options))
	var chance tally
	nr, nc, nb := min(m.Rows, costRows), min(m.Cols, costCols), min(m.Block, costIn)
	if m.Cols == 1 {
		nr = min(m.Rows, costRows*costCols)
	}
	now, old := make([]byte, m.rowBytes()), make([]byte, m.rowBytes())
	var before uint64 // the last old number
	for r := range nr {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		i := int(int64(r) * int64(m.Rows) / int64(nr))
		if err := p.New.readRow(now, i); err != nil {
			return nil, err
		}
		has := -1 // the row that old holds
		for o, opt := range options {
			from := i
			if opt.rows != nil {
				from = int(opt.rows[i])
			}
			if from != has {
				if err := p.Old.readRow(old, from); err != nil {
					return nil, err
				}
				has = from
			}
			for c := range nc {
				j := (c*m.Cols/nc + r) % m.Cols
				at := j
				if opt.cols != nil {
					at = int(opt.cols[j])
				}
				for k := range nb {
					x, y := at*m.Block+k*m.Block/nb, j*m.Block+k*m.Block/nb
					a, b := bitsAt(old, x, w), bitsAt(now, y, w)
					if o == 0 && chance.numbers+int64(r+c+k) > 0 {
						chance.add(price(before, b, m.Class))
					}
					before = a
					seen[o].see(p.Old.value(old, x), p.New.value(now, y), price(a, b, m.Class))
				}
			}
		}
	}
	each := make([]int64, len(options))
	for o := range seen {
		each[o] = seen[o].bits(16 * chance.price / max(1, chance.numbers))
	}
	return each, nil
}

// saves is what an option saves over identity, in bits of the whole matrix,
// from the costs of a number; 0 if these are less than least apart and less
// than by a tenth, or if it is less than leastBits.
func saves(p Pair, identity, option, least int64) int64 {
	gain := identity - option
	if gain <= 0 || gain < least && 10*gain < identity {
		return 0
	}
	numbers := float64(p.Old.Rows) * float64(p.Old.Cols) * float64(p.Old.Block)
	if bits := int64(numbers * float64(gain) / 256); bits >= leastBits {
		return bits
	}
	return 0
}

// cheapest returns the first of the options, of which identity is the first,
// that cost least, and what it saves.
func cheapest(p Pair, each []int64, least int64) (best int, saved int64) {
	for i, cost := range each {
		if s := saves(p, each[0], cost, least); s > saved {
			best, saved = i, s
		}
	}
	return best, saved
}

// orderBits estimates what a permutation takes to write down: log2(n!), by
// Stirling's formula n·log2(n) - 1.44·n, or less if long runs of it moved as a
// whole.
func orderBits(perm []int32) int64 {
	n := int64(len(perm))
	logN := int64(bits.Len(uint(n - 1)))
	runs := int64(1)
	for i := 1; i < len(perm); i++ {
		if perm[i] != perm[i-1]+1 {
			runs++
		}
	}
	return min(n*logN-n*23/16, runs*(logN+4)) + 64
}

// settled returns the match as a permutation, unsure units included; nil if
// there is none or it moves nothing.
func (m *match) settled() []int32 {
	if m == nil {
		return nil
	}
	full := &match{to: slices.Clone(m.to)}
	full.complete()
	for i, t := range full.to {
		if int(t) != i {
			return full.to
		}
	}
	return nil
}
