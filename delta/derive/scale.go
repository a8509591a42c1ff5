package derive

import (
	"context"
	"math"
	"slices"
)

// Transposed returns the factors of the transposed update, for weights that are
// stored as inputs by outputs. The numbers are the same ones in another order.
func (f Factors) Transposed() Factors {
	f.U, f.V = flip(f.V, f.Rank, f.Cols), flip(f.U, f.Rows, f.Rank)
	f.Rows, f.Cols = f.Cols, f.Rows
	return f
}

// flip transposes a matrix.
func flip(m []float64, rows, cols int) []float64 {
	out := make([]float64, len(m))
	for i := range rows {
		for j, x := range m[i*cols : (i+1)*cols] {
			out[j*rows+i] = x
		}
	}
	return out
}

// Scales returns the scales by which U·V is probably to be multiplied, the best
// estimate first: it is found from the weights by least squares, since files of
// factors do not hold it. The others are what adapters have: whole numbers over
// the rank or over its root (rsLoRA, Kalajdzievski 2023) that are within the
// error of the estimate, and what is best where more was changed than that.
// Share is how much of the squared difference of the matrices that one explains,
// 0..1: near 0 the factors are of something else, and the scales mean nothing.
// There are none if the matrices do not differ. 64 rows are read. Errors are
// those of ResidualBits.
func (f *Factors) Scales(ctx context.Context, old, next Matrix) (scales []float32, share float64, err error) {
	if err := f.fits(&old, &next); err != nil {
		return nil, 0, err
	}
	u := update{old: &old, next: &next, rows: f.Rows, cols: f.Cols, class: old.Class}
	g := Factors{Rank: f.Rank, Rows: f.Rows, Cols: f.Cols, U: f.U, V: f.V, Scale: 1}
	var all, exact squares
	var sums [tile]float64
	err = u.each(ctx, spread(f.Rows, 64), 0, f.Cols, func(i int, d, unit []float64) {
		for from := 0; from < f.Cols; from += tile {
			part := sums[:min(tile, f.Cols-from)]
			g.update(g.U[i*g.Rank:(i+1)*g.Rank], from, part)
			for j, p := range part {
				if unit[from+j] == 0 {
					continue // not finite
				}
				all.add(d[from+j], p)
				// Rounding noise is alike in units of the last place.
				exact.add(d[from+j]/unit[from+j], p/unit[from+j])
			}
		}
	})
	if err != nil || !all.usable() || !exact.usable() {
		return nil, 0, err
	}
	best := exact.xy / exact.yy
	share = min(1, all.xy/all.xx*(all.xy/all.yy))
	// Six times the error that uniform rounding makes, and that of float32.
	slack := 6*math.Sqrt(1.0/12/exact.yy) + math.Abs(best)*1e-6
	scales = []float32{float32(best)}
	for _, unit := range []float64{float64(f.Rank), math.Sqrt(float64(f.Rank))} {
		near := math.RoundToEven(best*unit) / unit
		if s := float32(near); near != 0 && math.Abs(near-best) <= slack && !slices.Contains(scales, s) {
			scales = append(scales, s)
		}
	}
	if s := float32(all.xy / all.yy); !slices.Contains(scales, s) {
		scales = append(scales, s)
	}
	if slices.ContainsFunc(scales, func(s float32) bool { return !finite(float64(s)) }) {
		return nil, 0, nil
	}
	return scales, share, nil
}

// squares are the sums of least squares of x against y.
type squares struct{ xx, xy, yy float64 }

func (f *squares) add(x, y float64) {
	f.xx += float64(x * x)
	f.xy += float64(x * y)
	f.yy += float64(y * y)
}

func (f *squares) usable() bool { return f.xx > 0 && f.yy > 0 && finite(f.xx) && finite(f.yy) }
