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

	// A new permutation must save a bit for each number that it moves: networks
	// trained anew resemble their predecessors in another order by up to 0.9
	// bit, of which coding gained nothing (measured on nets of chess and speech).
	leastToFound = 16 // 1/16 bit
	leastToJoin  = 1  // 1/16 bit
	leastBits    = 24 // that any must save of a matrix, for it is named there
)

// option is a basis that is tried: old units of the new rows and columns; nil
// for as they stand.
type option struct{ rows, cols []int32 }

// cost is what a sample of the new matrix costs with an option as basis.
type cost struct {
	tally
	moved int64 // numbers whose basis is another one than in place
}

// costs prices the options, all on one sample.
func costs(ctx context.Context, p Pair, options []option) ([]cost, error) {
	m := p.Old
	w := m.Class.Width()
	each := make([]cost, len(options))
	nr, nc, nb := min(m.Rows, costRows), min(m.Cols, costCols), min(m.Block, costIn)
	if m.Cols == 1 {
		nr = min(m.Rows, costRows*costCols)
	}
	now, old := make([]byte, m.rowBytes()), make([]byte, m.rowBytes())
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
					in := k * m.Block / nb
					each[o].add(price(bitsAt(old, at*m.Block+in, w), bitsAt(now, j*m.Block+in, w), m.Class))
				}
				if from != i || at != j {
					each[o].moved += int64(nb)
				}
			}
		}
	}
	return each, nil
}

// saves is what an option saves over identity, in bits of the whole matrix; 0
// if that is less than leastBits, or for each number that moves both less than
// least and less than a third of what numbers cost.
func saves(p Pair, identity, option cost, least int64) int64 {
	gain := identity.price - option.price
	if gain <= 0 || gain < least*option.moved && 3*gain < identity.mean()*option.moved {
		return 0
	}
	numbers := float64(p.Old.Rows) * float64(p.Old.Cols) * float64(p.Old.Block)
	if bits := int64(numbers * float64(gain) / float64(option.numbers) / 16); bits >= leastBits {
		return bits
	}
	return 0
}

// cheapest returns the first of the options, of which identity is the first,
// that saves most, and how many bits.
func cheapest(p Pair, each []cost, least int64) (best int, saved int64) {
	for i, c := range each {
		if s := saves(p, each[0], c, least); s > saved {
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
