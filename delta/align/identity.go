package align

import "context"

const (
	sampleRows    = 4096    // at most, of a look in place
	sampleNumbers = 1 << 16 // at least, if the matrix has them
	clearGain     = 24      // 1/16 bit a number: what tells a basis from chance
)

// tally sums the price of numbers.
type tally struct{ price, numbers int64 }

func (t *tally) add(price int) {
	t.price += int64(price)
	t.numbers++
}

// mean is the price of a number in 1/16 bit.
func (t tally) mean() int64 { return t.price / max(1, t.numbers) }

// fits says whether numbers cost clearly less than chance would have it.
func fits(t, chance tally) bool {
	m, c := t.mean(), chance.mean()
	return m == 0 || m <= c-clearGain || 2*m <= c
}

// inPlace says whether rows and columns of the pair's matrices stand where
// they stood: a sample of every row and column is alike, by the price of
// numbers in place against that of their neighbours. It reads a slice of each row, the
// slices staggered so that they cover the columns.
func inPlace(ctx context.Context, p Pair) (bool, error) {
	m := p.Old
	w := m.Class.Width()
	take := min(m.Rows, sampleRows)
	want := max(sampleNumbers, 16*max(m.Rows, m.Cols))
	span := min(max(1, want/take/m.Block), m.Cols) // columns of a slice
	depth := min(m.Block, 64)                      // numbers of an element that are looked at
	old, now := make([]byte, span*m.Block*w), make([]byte, span*m.Block*w)

	var chance tally
	perRow, perCol := make([]tally, take), make([]tally, m.Cols)
	var before uint64 // the old number looked at last but one element
	for r := range take {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		i := int(int64(r) * int64(m.Rows) / int64(take))
		j := int(int64(r) * int64(span) % int64(m.Cols))
		j = min(j, m.Cols-span)
		at := (int64(i)*int64(m.Cols) + int64(j)) * int64(m.Block) * int64(w)
		if err := p.Old.read(old, at); err != nil {
			return false, err
		}
		if err := p.New.read(now, at); err != nil {
			return false, err
		}
		for e := range span {
			for k := range depth {
				a, b := bitsAt(old, e*m.Block+k, w), bitsAt(now, e*m.Block+k, w)
				cost := price(a, b, m.Class)
				perRow[r].add(cost)
				perCol[j+e].add(cost)
				if r+e+k > 0 {
					chance.add(price(before, b, m.Class))
				}
				before = a
			}
		}
	}
	return allFit(perRow, chance) && allFit(perCol, chance), nil
}

// allFit says whether no two of the tallies are of strangers: one alone has
// nobody to change places with.
func allFit(of []tally, chance tally) bool {
	strangers := 0
	for _, t := range of {
		if t.numbers > 0 && !fits(t, chance) {
			strangers++
		}
	}
	return strangers < 2
}
