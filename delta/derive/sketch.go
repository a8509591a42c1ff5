package derive

import (
	"context"
	"math"
)

// model is an update's factors while they are sought: D ≈ Σ_k u[i][k]·v[j][k].
type model struct {
	*update
	rank int
	u, v []float64 // rows x rank, cols x rank
	unit float64   // root of the mean square of the units of new's elements
}

// rangeOf finds the singular vectors of D by a random sketch of p rows
// ((Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1, with one pass of
// subspace iteration) and keeps those whose singular values stand above the
// norm of the rounding noise; false if none do, or more than maxRank.
func (u *update) rangeOf(ctx context.Context, p, maxRank int) (*model, bool, error) {
	sketch := vectors(p, u.cols)
	colNoise := make([]float64, u.cols)
	rowNoise, total := 0.0, 0.0
	random := uint64(0x9e3779b97f4a7c15)
	err := u.each(ctx, 1, 0, u.cols, func(_ int, d, unit []float64) {
		for k := range sketch {
			sign := 1.0
			if random = splitmix(random); random>>63 != 0 {
				sign = -1
			}
			axpy(sign, d, sketch[k])
		}
		sum := 0.0
		for j, x := range unit {
			sum += float64(x * x)
			colNoise[j] += float64(x * x)
		}
		rowNoise = max(rowNoise, sum)
		total += sum
	})
	if err != nil {
		return nil, false, err
	}
	orthonormalise(sketch)
	image := vectors(p, u.rows) // D·sketchᵀ
	err = u.each(ctx, 1, 0, u.cols, func(i int, d, _ []float64) {
		for k := range sketch {
			image[k][i] = dot(d, sketch[k])
		}
	})
	if err != nil {
		return nil, false, err
	}
	r := orthonormalise(image)
	left, s, right := svd(r)
	// The norm of noise is about the root of its largest row plus that of its
	// largest column (Bandeira and van Handel 2016).
	largest := 0.0
	for _, x := range colNoise {
		largest = max(largest, x)
	}
	edge := 1.1 * (math.Sqrt(rowNoise/12) + math.Sqrt(largest/12))
	rank := 0
	for rank < p && s[rank] > edge {
		rank++
	}
	if rank == 0 || rank > maxRank || rank == p && p < min(u.rows, u.cols) {
		return nil, false, nil
	}
	m := &model{update: u, rank: rank, unit: math.Sqrt(total / float64(u.rows) / float64(u.cols))}
	m.u = interleave(combine(left[:rank], image))
	m.v = interleave(combine(right[:rank], sketch))
	for i := range m.u {
		m.u[i] *= s[i%rank]
	}
	return m, true, nil
}

// splitmix is the next number of the generator SplitMix64 (Steele et al. 2014)
// reduced to what signs need.
func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func vectors(count, length int) [][]float64 {
	v := make([][]float64, count)
	for k := range v {
		v[k] = make([]float64, length)
	}
	return v
}

// interleave turns vectors into rows: out[i·len(v)+k] = v[k][i].
func interleave(v [][]float64) []float64 {
	out := make([]float64, len(v)*len(v[0]))
	for k := range v {
		for i, x := range v[k] {
			out[i*len(v)+k] = x
		}
	}
	return out
}

// separate is the inverse of interleave.
func separate(v []float64, rank int) [][]float64 {
	out := vectors(rank, len(v)/rank)
	for i, x := range v {
		out[i%rank][i/rank] = x
	}
	return out
}
