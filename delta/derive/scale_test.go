package derive

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// The scale is found as it was, in either orientation; factors of something else
// explain nothing.
func TestScales(t *testing.T) {
	const rows, cols, rank = 96, 160, 8
	for _, class := range []codec.Class{codec.F32, codec.BF16} {
		for _, scale := range []float32{2, 0.5, -1, float32(16 / math.Sqrt(rank))} {
			r := rand.New(rand.NewPCG(5, 6))
			f := Factors{Rank: rank, Rows: rows, Cols: cols, Scale: 1, U: make([]float64, rows*rank), V: make([]float64, rank*cols)}
			for _, numbers := range [][]float64{f.U, f.V} {
				for i := range numbers {
					numbers[i] = float64(float32(r.NormFloat64() * 0.05))
				}
			}
			data := make([]float32, rows*cols)
			for i := range data {
				data[i] = float32(r.NormFloat64())
			}
			for _, f := range []Factors{f, f.Transposed()} {
				old := matrix(class, f.Rows, f.Cols, data)
				merged := f
				merged.Scale = scale
				next := slices.Clone(data)
				for i := range f.Rows {
					var sums [rows + cols]float64
					merged.update(f.U[i*rank:][:rank], 0, sums[:f.Cols])
					for j := range f.Cols {
						at := i*f.Cols + j
						var held [4]byte
						put32(class, held[:], 0, math.Float32bits(data[at]))
						next[at] = math.Float32frombits(bits32(class, held[:], 0)) + float32(sums[j])
					}
				}
				scales, share, err := f.Scales(t.Context(), old, matrix(class, f.Rows, f.Cols, next))
				if err != nil || share < 0.5 || !slices.Contains(scales, scale) {
					t.Errorf("class %d, scale %v: found %v, share %.3f, %v", class, scale, scales, share, err)
				}
				for i := range next {
					next[i] = data[i] + float32(0.01*r.NormFloat64())
				}
				if _, share, err = f.Scales(t.Context(), old, matrix(class, f.Rows, f.Cols, next)); err != nil || share > 0.01 {
					t.Errorf("class %d: noise is explained to %.3f, %v", class, share, err)
				}
				if scales, _, err = f.Scales(t.Context(), old, old); err != nil || len(scales) != 0 {
					t.Errorf("class %d: no change has scales %v, %v", class, scales, err)
				}
			}
		}
	}
}

func TestTransposedTwice(t *testing.T) {
	f := Factors{Rank: 2, Rows: 3, Cols: 1, U: []float64{1, 2, 3, 4, 5, 6}, V: []float64{7, 8}, Scale: 1}
	g := f.Transposed()
	if g.Rows != 1 || g.Cols != 3 || !slices.Equal(g.U, []float64{7, 8}) || !slices.Equal(g.V, []float64{1, 3, 5, 2, 4, 6}) {
		t.Errorf("transposed %v", g)
	}
	if g = g.Transposed(); !slices.Equal(g.U, f.U) || !slices.Equal(g.V, f.V) || g.Rows != f.Rows {
		t.Errorf("transposed twice %v", g)
	}
}
