package derive

import (
	"context"
	"fmt"
)

// ResidualBits returns the entropy in bits of what is left between new and the
// basis that the factors make from old: of ordered integer differences, given
// the exponent of the basis and what rounding took from it (AddRowRest). It reads both matrices once. It wraps [ErrShape]
// if they do not fit the factors, and errors of ctx and reading.
func (f *Factors) ResidualBits(ctx context.Context, old, next Matrix) (float64, error) {
	if err := f.fits(&old, &next); err != nil {
		return 0, err
	}
	return f.residual(ctx, &old, &next, 1)
}

func (f *Factors) fits(old, next *Matrix) error {
	if !usable(old) || !usable(next) || old.Class != next.Class || old.Class.Width() > 4 || !floating(old.Class) ||
		old.Rows != f.Rows || next.Rows != f.Rows || width(old) != f.Cols || width(next) != f.Cols {
		return fmt.Errorf("factors of %d x %d for matrices of %d x %d and %d x %d: %w",
			f.Rows, f.Cols, old.Rows, width(old), next.Rows, width(next), ErrShape)
	}
	return nil
}

// residual estimates ResidualBits from every step-th row.
func (f *Factors) residual(ctx context.Context, old, next *Matrix, step int) (float64, error) {
	var t tally
	basis, rest := make([]byte, rowBytes(old)), make([]int8, f.Cols)
	err := eachRow(ctx, old, next, step, 0, f.Cols, func(i int, a, b []byte) error {
		f.AddRowRest(i, old.Class, a, basis, rest)
		t.row(old.Class, b, basis, rest)
		return nil
	})
	return t.scaled(f.Rows, f.Cols), err
}

// scaled is bits for rows·cols elements, of which some were counted.
func (t *tally) scaled(rows, cols int) float64 {
	if t.n == 0 {
		return 0
	}
	return t.bits() * float64(rows) * float64(cols) / float64(t.n)
}
