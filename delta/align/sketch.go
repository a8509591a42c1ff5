package align

import (
	"cmp"
	"context"
	"slices"
	"sort"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	sketchDims   = 128 // of a unit, at most
	sketchPlaces = 16  // in an element that are told apart, at most
	sketchSample = 1 << 12
)

// sketcher turns a unit into the distribution of its numbers, whatever the
// order of the other axis: how many lie near each of some marks, a number
// between two marks counting for both in part (a soft histogram).
type sketcher struct {
	class  codec.Class
	block  int
	places int       // of an element that have marks of their own counts
	marks  []float32 // rising, at least 2
	dims   int       // places · marks
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
	for _, a := range []side{rows, cols} {
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
	s := &sketcher{class: m.Class, block: m.Block, places: min(m.Block, sketchPlaces)}
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
			sample = append(sample, valueAt(row, k*inRow/n, m.Class))
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
	return s, nil
}

// sketch reads the whole matrix.
func (s *sketcher) sketch(ctx context.Context, m *Matrix) (of [2]points, err error) {
	of = [2]points{newPoints(m.Rows, s.dims), newPoints(m.Cols, s.dims)}
	last := len(s.marks) - 1
	err = m.eachRow(ctx, func(i int, data []byte) {
		row, at := of[rows].at(i), 0
		for j := range m.Cols {
			col := of[cols].at(j)
			for k := range m.Block {
				v := valueAt(data, at, s.class)
				at++
				base := k % s.places * len(s.marks)
				// The marks that v lies between; beyond the ends, the end counts.
				above := sort.Search(len(s.marks), func(x int) bool { return s.marks[x] > v })
				switch above {
				case 0:
					row[base]++
					col[base]++
				case last + 1:
					row[base+last]++
					col[base+last]++
				default:
					lo, hi := s.marks[above-1], s.marks[above]
					part := (v - lo) / (hi - lo)
					row[base+above-1] += 1 - part
					row[base+above] += part
					col[base+above-1] += 1 - part
					col[base+above] += part
				}
			}
		}
	})
	return of, err
}
