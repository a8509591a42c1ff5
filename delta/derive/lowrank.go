package derive

import (
	"context"
	"fmt"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// update is a pair of matrices of one class seen as new - old, with the noise
// of rounding that each element carries.
type update struct {
	old, next *Matrix
	rows      int
	cols      int // elements of a row
	class     codec.Class
}

// LowRank finds factors of new - old if that is a matrix of rank at most
// maxRank, up to the rounding of new, and says whether it is: then coding the
// factors and what remains is estimated to take under 9/10 of coding the
// differences. Rows are Matrix.Rows, columns Matrix.Cols·Block. Both matrices
// have one class, F32, F16 or BF16, and one shape; any others, and matrices
// with a side under 4 or rows of more than 2^20 elements, are not of low rank.
//
// A matrix of full rank is recognised by 96 rows of 192 columns; others are read
// about ten times. Memory is at most 16 bytes times rank times rows + columns
// and 16 MiB. The result is the same each time on one architecture. Errors are
// those of ctx and of reading.
func LowRank(ctx context.Context, old, next Matrix, maxRank int) (Factors, bool, error) {
	u := update{old: &old, next: &next, rows: old.Rows, cols: width(&old), class: old.Class}
	maxRank = min(maxRank, 64, min(u.rows, u.cols)-1)
	if !usable(&old) || !usable(&next) || old.Class != next.Class || old.Class == codec.F64 || !floating(old.Class) ||
		old.Rows != next.Rows || u.cols != width(&next) || u.rows < 4 || u.cols < 4 || maxRank < 1 ||
		u.rows > maxFactorElements {
		return Factors{}, false, nil
	}
	f, ok, err := u.factor(ctx, maxRank)
	if err != nil {
		return Factors{}, false, fmt.Errorf("low rank of %d x %d: %w", u.rows, u.cols, err)
	}
	return f, ok, nil
}

func (u *update) factor(ctx context.Context, maxRank int) (Factors, bool, error) {
	rank, err := u.probe(ctx, maxRank)
	if err != nil || rank == 0 {
		return Factors{}, false, err
	}
	sketch := min(rank+rank/4+8, u.rows, u.cols)
	if sketch*(u.rows+u.cols) > maxFactorElements {
		return Factors{}, false, nil
	}
	m, ok, err := u.rangeOf(ctx, sketch, maxRank)
	if err != nil || !ok {
		return Factors{}, false, err
	}
	if err := m.refine(ctx); err != nil {
		return Factors{}, false, err
	}
	return m.quantise(ctx)
}

// each visits rows 0, step, 2·step … with the differences of the columns
// from..to and the unit in the last place of each new element; an element that
// is not finite has difference and unit 0.
func (u *update) each(ctx context.Context, step, from, to int, visit func(i int, d, unit []float64)) error {
	n := to - from
	d, unit, next := make([]float64, n), make([]float64, n), make([]float64, n)
	least, mantissa := precision(u.class)
	return eachRow(ctx, u.old, u.next, step, from, to, func(i int, a, b []byte) error {
		loadFloats(u.class, a, d)
		loadFloats(u.class, b, next)
		for j, y := range next {
			exponent := int(math.Float64bits(y)>>52&0x7ff) - 1023
			d[j] = y - d[j]
			unit[j] = power(max(exponent, least) - mantissa)
			if !finite(d[j]) {
				d[j], unit[j] = 0, 0
			}
		}
		visit(i, d, unit)
		return nil
	})
}

// power returns 2^e for a normal float64.
func power(e int) float64 { return math.Float64frombits(uint64(e+1023) << 52) }

// Rows and columns that probe looks at: more than the highest rank.
const (
	probeRows = 96
	probeCols = 192
)

// probe estimates the rank of a sample, by Gram-Schmidt with pivoting by rows:
// the number of rows that span the others up to rounding, 0 if the differences
// are all zero or more than maxRank rows are needed.
func (u *update) probe(ctx context.Context, maxRank int) (int, error) {
	step := spread(u.rows, probeRows)
	// Columns: all, or runs over the row.
	cols := min(u.cols, probeCols)
	run := min(cols, 16)
	var sample [][]float64
	var noise float64
	n := 0
	err := u.each(ctx, step, 0, u.cols, func(_ int, d, unit []float64) {
		row := make([]float64, 0, cols)
		for at := 0; at+run <= cols; at += run {
			from := at * (u.cols - run) / max(1, cols-run)
			row = append(row, d[from:from+run]...)
			for _, x := range unit[from : from+run] {
				noise += float64(x * x)
				n++
			}
		}
		sample = append(sample, row)
	})
	if err != nil || n == 0 {
		return 0, err
	}
	noise = math.Sqrt(noise / 12 / float64(n)) // uniform rounding error
	limit := min(maxRank, len(sample)-1, cols-1)
	for k := 0; ; k++ {
		best, most, sum := k, -1.0, 0.0
		for i := k; i < len(sample); i++ {
			norm := dot(sample[i], sample[i])
			sum += norm
			if norm > most {
				best, most = i, norm
			}
		}
		// What is left of a row has its own noise and that of the rows that
		// were subtracted.
		left := math.Sqrt(sum / float64((len(sample)-k)*len(sample[0])))
		if left <= 1.5*noise*math.Sqrt(float64(1+k)) {
			return k, nil
		}
		if k == limit {
			return 0, nil
		}
		sample[k], sample[best] = sample[best], sample[k]
		pivot := sample[k]
		for _, row := range sample[k+1:] {
			axpy(-dot(row, pivot)/most, pivot, row)
		}
	}
}
