package derive

import (
	"context"
	"fmt"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// FactorsFrom reads the factors of a published adapter: b is Rows x rank, a is
// rank x Cols·Block, each F32, F16 or BF16, and the update is scale·b·a (the
// adapter's alpha / rank). [Factors.BestOrder] then finds the publisher's
// arithmetic. It wraps [ErrShape] if they do not fit each other, [ErrFactors]
// if they hold infinities or NaN or are too large, and errors of ctx and
// reading.
func FactorsFrom(ctx context.Context, b, a Matrix, scale float32) (Factors, error) {
	rank := width(&b)
	if !usable(&a) || !usable(&b) || a.Rows != rank || !adapterClass(a.Class) || !adapterClass(b.Class) {
		return Factors{}, fmt.Errorf("adapter of %d x %d and %d x %d: %w", b.Rows, rank, a.Rows, width(&a), ErrShape)
	}
	f := Factors{Rank: rank, Rows: b.Rows, Cols: width(&a), Scale: scale}
	if rank > MaxRank || f.Rows > maxFactorElements || rank*(f.Rows+f.Cols) > maxFactorElements {
		return Factors{}, fmt.Errorf("adapter of %d x %d x %d: %w", f.Rows, rank, f.Cols, ErrFactors)
	}
	var err error
	if f.U, err = numbers(ctx, &b); err != nil {
		return Factors{}, err
	}
	if f.V, err = numbers(ctx, &a); err != nil {
		return Factors{}, err
	}
	return f, f.Validate()
}

func adapterClass(c codec.Class) bool { return floating(c) && c.Width() <= 4 }

// numbers reads a matrix. -0 becomes 0, which makes no difference to sums and
// lets numbers be coded as integers.
func numbers(ctx context.Context, m *Matrix) ([]float64, error) {
	all := make([]float64, m.Rows*width(m))
	err := eachRow(ctx, m, m, 1, 0, width(m), func(i int, row, _ []byte) error {
		to := all[i*width(m) : (i+1)*width(m)]
		loadFloats(m.Class, row, to)
		for j, x := range to {
			if x == 0 {
				to[j] = 0
			}
		}
		return nil
	})
	return all, err
}

// BestOrder returns the factors in the Order that leaves least between new and
// the basis, with that many bits (see ResidualBits), judged by 64 rows. Errors
// are those of ResidualBits.
func (f Factors) BestOrder(ctx context.Context, old, next Matrix) (Factors, float64, error) {
	if err := f.fits(&old, &next); err != nil {
		return Factors{}, 0, err
	}
	best, least := f, math.Inf(1)
	for order := range orders {
		f.Order = order
		bits, err := f.residual(ctx, &old, &next, spread(f.Rows, 64))
		if err != nil {
			return Factors{}, 0, err
		}
		if bits < least {
			best, least = f, bits
		}
	}
	return best, least, nil
}
