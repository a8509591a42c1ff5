package derive

import (
	"context"
	"math"
)

// Rounding noise differs from element to element: it is uniform in ±half a
// unit in the last place of the new element, and the units of small weights are
// a hundredth of those of large ones. Least squares weighted by 1/noise² find
// the factors an order of magnitude better than the singular vectors do; with
// one factor fixed they are small systems, so the factors take turns.

// refine improves the factors by alternating weighted least squares.
func (m *model) refine(ctx context.Context) error {
	share := float64(m.rank*(m.rows+m.cols)) / float64(m.rows) / float64(m.cols)
	slack := 0.3 * m.unit * math.Sqrt(min(1, share))
	for range refinements {
		if err := m.solveU(ctx, slack); err != nil {
			return err
		}
		if err := m.solveV(ctx, slack); err != nil {
			return err
		}
		slack /= 4
	}
	return nil
}

const refinements = 4

// system is the normal equations of one row or column.
type system struct{ a, b []float64 }

func (s system) add(weight, d float64, v []float64) {
	at := 0
	for k, x := range v {
		wx := float64(weight * x)
		s.b[k] += float64(wx * d)
		row := s.a[at : at+k+1]
		for l, y := range v[:len(row)] {
			row[l] += float64(wx * y)
		}
		at += k + 1
	}
}

// solveU finds the best u for v, row by row. slack is the error of v's
// products, which joins the rounding noise.
func (m *model) solveU(ctx context.Context, slack float64) error {
	s := system{make([]float64, m.rank*(m.rank+1)/2), make([]float64, m.rank)}
	return m.each(ctx, 1, 0, m.cols, func(i int, d, unit []float64) {
		clear(s.a)
		clear(s.b)
		for j, x := range unit {
			if x > 0 {
				s.add(1/(float64(x*x)/12+float64(slack*slack)), d[j], m.v[j*m.rank:][:m.rank])
			}
		}
		if solve(s.a, s.b) {
			copy(m.u[i*m.rank:], s.b)
		}
	})
}

// stripBytes bounds the normal equations of the columns that are solved at once.
const stripBytes = 4 << 20

// solveV finds the best v for u, a strip of columns at a time.
func (m *model) solveV(ctx context.Context, slack float64) error {
	triangle := m.rank * (m.rank + 1) / 2
	strip := max(1, min(m.cols, stripBytes/8/(triangle+m.rank)))
	a, b := make([]float64, strip*triangle), make([]float64, strip*m.rank)
	for from := 0; from < m.cols; from += strip {
		to := min(from+strip, m.cols)
		clear(a)
		clear(b)
		err := m.each(ctx, 1, from, to, func(i int, d, unit []float64) {
			row := m.u[i*m.rank:][:m.rank]
			for j, x := range unit {
				if x > 0 {
					s := system{a[j*triangle:][:triangle], b[j*m.rank:][:m.rank]}
					s.add(1/(float64(x*x)/12+float64(slack*slack)), d[j], row)
				}
			}
		})
		if err != nil {
			return err
		}
		for j := range to - from {
			x := b[j*m.rank:][:m.rank]
			if solve(a[j*triangle:][:triangle], x) {
				copy(m.v[(from+j)*m.rank:], x)
			}
		}
	}
	return nil
}
