package align

import "context"

const (
	maxDims     = 128     // of points
	minDims     = 48      // where there are too many units for more
	maxProducts = 1 << 30 // wanted of one search
	maxFloats   = 1 << 19 // of one side's points: 2 MiB
)

// dimsFor returns how many dimensions points of n units may have.
func dimsFor(n int) int {
	dims := min(maxDims, max(minDims, maxProducts/n/n))
	return max(1, min(dims, maxFloats/n))
}

// grid is a choice of numbers of every unit: those of some units of the other
// axis, and of each of their elements some.
type grid struct {
	old, now []int32 // units of the other axis, matched
	inside   []int   // places in an element
}

// gridFor chooses among the sure units of the other axis's match, evenly, as
// many numbers as dims allows.
func gridFor(given *match, block, dims int) *grid {
	g := new(grid)
	for k := range min(block, dims) {
		g.inside = append(g.inside, k*block/min(block, dims))
	}
	sure := given.sures()
	take := min(sure, max(1, dims/len(g.inside)))
	seen := 0
	for i, s := range given.sure {
		if !s {
			continue
		}
		if seen*take/sure < (seen+1)*take/sure {
			g.old, g.now = append(g.old, given.to[i]), append(g.now, int32(i))
		}
		seen++
	}
	return g
}

// pointsOf reads the grid's numbers of every unit of axis a: its row of
// numbers if a is rows.
func pointsOf(ctx context.Context, m *Matrix, a side, others []int32, inside []int) (points, error) {
	p := newPoints(m.units(a), len(others)*len(inside))
	w := m.Class.Width()
	if a == rows {
		return p, m.eachRow(ctx, func(i int, data []byte) {
			to := p.at(i)
			for t, j := range others {
				element := data[int(j)*m.Block*w:]
				for k, in := range inside {
					to[t*len(inside)+k] = m.value(element, in)
				}
			}
		})
	}
	row := make([]byte, m.rowBytes())
	for t, i := range others {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		if err := m.readRow(row, int(i)); err != nil {
			return p, err
		}
		for j := range m.Cols {
			to, element := p.at(j), row[j*m.Block*w:]
			for k, in := range inside {
				to[t*len(inside)+k] = m.value(element, in)
			}
		}
	}
	return p, nil
}

// direct matches the units of axis a by their numbers at sure units of the
// other axis.
func direct(ctx context.Context, p Pair, a side, given *match) (*match, error) {
	old, now, err := directPoints(ctx, p, a, given, dimsFor(p.Old.units(a)))
	if err != nil {
		return nil, err
	}
	return byDistance(ctx, old, now)
}

// directPoints reads the points that direct compares, levelled.
func directPoints(ctx context.Context, p Pair, a side, given *match, dims int) (old, now points, err error) {
	g := gridFor(given, p.Old.Block, dims)
	if old, err = pointsOf(ctx, &p.Old, a, g.old, g.inside); err != nil {
		return old, now, err
	}
	if now, err = pointsOf(ctx, &p.New, a, g.now, g.inside); err != nil {
		return old, now, err
	}
	level(old, now)
	return old, now, nil
}
