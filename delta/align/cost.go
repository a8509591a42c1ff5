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

	leastToFound = 4 // 1/16 bit a number that a new permutation must save
	leastToJoin  = 1 // and one that is there already
)

// option is a basis that is tried: old units of the new rows and columns; nil
// for as they stand.
type option struct{ rows, cols []int32 }

// costs returns what the numbers of the new matrix cost with each option as
// basis, on one sample for all.
func costs(ctx context.Context, p Pair, options []option) ([]tally, error) {
	m := p.Old
	w := m.Class.Width()
	sum := make([]tally, len(options))
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
					sum[o].add(price(bitsAt(old, at*m.Block+in, w), bitsAt(now, j*m.Block+in, w), m.Class))
				}
			}
		}
	}
	return sum, nil
}

// saves estimates what option t saves over identity, in bits of the whole
// matrix; 0 if it is less than least in 1/16 bit a number and less than a
// tenth of all.
func saves(p Pair, identity, t tally, least int64) int64 {
	gain := identity.price - t.price
	if gain <= 0 || gain < least*t.numbers && 10*gain < identity.price {
		return 0
	}
	numbers := float64(p.Old.Rows) * float64(p.Old.Cols) * float64(p.Old.Block)
	return int64(numbers * float64(gain) / float64(t.numbers) / 16)
}

// permutationBits is what n units' permutation takes to write down, n·log2(n)
// rounded up.
func permutationBits(n int) int64 { return int64(n) * int64(bits.Len(uint(n-1))) }

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
