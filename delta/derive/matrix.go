package derive

import (
	"context"
	"fmt"

	"github.com/dunlin-mesh/dunlin/delta/align"
)

// Matrix is an array in a file, see [align.Matrix].
type Matrix = align.Matrix

// maxRowElements bounds a row, and so the buffers that hold a few of them.
const maxRowElements = 1 << 20

// width returns the elements of a row.
func width(m *Matrix) int { return m.Cols * m.Block }

// rowBytes returns the bytes of a row.
func rowBytes(m *Matrix) int { return width(m) * m.Class.Width() }

// usable says whether the shape is positive and its rows fit into buffers.
func usable(m *Matrix) bool {
	return m.R != nil && m.Rows > 0 && m.Cols > 0 && m.Block > 0 &&
		m.Cols <= maxRowElements && m.Block <= maxRowElements && width(m) <= maxRowElements
}

// batchBytes is how much of each matrix is read at once.
const batchBytes = 256 << 10

// eachRow calls visit with the elements [from,to) of rows 0, step, 2·step …
// of both matrices, in order. The slices are valid during the call. It stops at
// the first error, of reading, of ctx or of visit.
func eachRow(ctx context.Context, a, b *Matrix, step, from, to int, visit func(i int, rowA, rowB []byte) error) error {
	ra, rb := reader{m: a, from: from, to: to}, reader{m: b, from: from, to: to}
	if width(a) != width(b) { // block types: whole rows of another length
		rb.to = width(b)
	}
	ra.init(step)
	rb.init(step)
	for i := 0; i < a.Rows; i += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		rowA, err := ra.row(i)
		if err != nil {
			return err
		}
		rowB, err := rb.row(i)
		if err != nil {
			return err
		}
		if err := visit(i, rowA, rowB); err != nil {
			return err
		}
	}
	return nil
}

// reader reads parts of rows, many rows at once where they lie together.
type reader struct {
	m          *Matrix
	from, to   int
	buf        []byte
	batch      int // rows in buf
	start, end int // rows that buf holds
}

func (r *reader) init(step int) {
	length := (r.to - r.from) * r.m.Class.Width()
	r.batch = 1
	if step == 1 && length == rowBytes(r.m) {
		r.batch = max(1, min(r.m.Rows, batchBytes/max(1, length)))
	}
	r.buf = make([]byte, r.batch*length)
}

func (r *reader) row(i int) ([]byte, error) {
	length := (r.to - r.from) * r.m.Class.Width()
	if i < r.start || i >= r.end {
		r.start, r.end = i, min(i+r.batch, r.m.Rows)
		at := r.m.Offset + int64(i)*int64(rowBytes(r.m)) + int64(r.from*r.m.Class.Width())
		n := (r.end - r.start) * length
		if read, err := r.m.R.ReadAt(r.buf[:n], at); read < n {
			r.end = r.start
			return nil, fmt.Errorf("row %d at byte %d: %w", i, at, err)
		}
	}
	return r.buf[(i-r.start)*length:][:length], nil
}

// spread returns the step that visits about count of rows rows.
func spread(rows, count int) int { return max(1, rows/max(1, count)) }
