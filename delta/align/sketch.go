package align

import (
	"cmp"
	"context"
	"slices"
)

const (
	sketchDims   = 128 // of a unit, at most
	sketchPlaces = 16  // in an element that are told apart, at most
	sketchSample = 1 << 12
	sketchCells  = 1 << 10 // of the table that finds a mark
)

// sketcher turns a unit into the distribution of its numbers, whatever the
// order of the other axis: how many lie near each of some marks, a number
// between two marks counting for both in part (a soft histogram).
type sketcher struct {
	places int       // of an element that have marks of their own counts
	marks  []float32 // rising, at least 2
	dims   int       // places · marks
	scale  float64   // cells per unit of value above the first mark
	cells  []uint8   // mark at or below the start of each cell
}

// bySketch matches units of alike distributions.
func bySketch(ctx context.Context, p Pair) (f found, err error) {
	s, err := newSketcher(&p.Old)
	if err != nil || s == nil {
		return f, err
	}
	old, err := s.sketch(ctx, &p.Old)
	if err != nil {
		return f, err
	}
	now, err := s.sketch(ctx, &p.New)
	if err != nil {
		return f, err
	}
	first := rows // the axis of fewer units
	if p.Old.Cols < p.Old.Rows {
		first = cols
	}
	for _, a := range []side{first, first.other()} {
		if f[a.other()].share() > 0.5 {
			break // direct will do the rest
		}
		level(old[a], now[a])
		if f[a], err = byDistance(ctx, old[a], now[a]); err != nil {
			return f, err
		}
	}
	return f, nil
}

// newSketcher chooses marks at quantiles of a sample; nil if units are too
// many to be sketched or numbers too equal.
func newSketcher(m *Matrix) (*sketcher, error) {
	s := &sketcher{places: min(m.Block, sketchPlaces)}
	dims := min(sketchDims, maxFloats/(m.Rows+m.Cols))
	marks := min(32, dims/s.places)
	if marks < 4 {
		return nil, nil
	}
	var sample []float32
	row := make([]byte, m.rowBytes())
	take := min(m.Rows, 64)
	inRow := m.Cols * m.Block
	for r := range take {
		if err := m.readRow(row, int(int64(r)*int64(m.Rows)/int64(take))); err != nil {
			return nil, err
		}
		n := min(inRow, sketchSample/take)
		for k := range n {
			sample = append(sample, m.value(row, k*inRow/n))
		}
	}
	slices.SortFunc(sample, cmp.Compare[float32])
	for k := range marks {
		s.marks = append(s.marks, sample[k*(len(sample)-1)/(marks-1)])
	}
	s.marks = slices.Compact(s.marks)
	s.dims = s.places * len(s.marks)
	if len(s.marks) < 2 {
		return nil, nil
	}
	first, last := float64(s.marks[0]), float64(s.marks[len(s.marks)-1])
	s.scale = sketchCells / (last - first)
	s.cells = make([]uint8, sketchCells)
	for c, k := 0, 0; c < sketchCells; c++ {
		for k < len(s.marks)-2 && float64((float64(s.marks[k+1])-first)*s.scale) <= float64(c) {
			k++
		}
		s.cells[c] = uint8(k)
	}
	return s, nil
}

// between returns the mark at or below v and how far v is on the way to the
// next one, 0 to 1; beyond the ends it is at the end.
func (s *sketcher) between(v float32) (mark int, part float32) {
	last := len(s.marks) - 1
	if v <= s.marks[0] {
		return 0, 0
	}
	if v >= s.marks[last] {
		return last - 1, 1
	}
	cell := int(float64((float64(v) - float64(s.marks[0])) * s.scale))
	mark = int(s.cells[min(cell, sketchCells-1)])
	for mark < last-1 && s.marks[mark+1] <= v {
		mark++
	}
	for s.marks[mark] > v { // rounding
		mark--
	}
	return mark, (v - s.marks[mark]) / (s.marks[mark+1] - s.marks[mark])
}

// sketch reads the whole matrix.
func (s *sketcher) sketch(ctx context.Context, m *Matrix) (of [2]points, err error) {
	of = [2]points{newPoints(m.Rows, s.dims), newPoints(m.Cols, s.dims)}
	err = m.eachRow(ctx, func(i int, data []byte) {
		row, at := of[rows].at(i), 0
		for j := range m.Cols {
			col := of[cols].at(j)
			for k := range m.Block {
				v := m.value(data, at)
				at++
				mark, part := s.between(v)
				mark += k % s.places * len(s.marks)
				row[mark] += 1 - part
				row[mark+1] += part
				col[mark] += 1 - part
				col[mark+1] += part
			}
		}
	})
	return of, err
}
