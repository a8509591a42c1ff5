package align

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// ErrShape says that a pair is not of two matrices of one class and shape, or
// that one of them cannot lie in any file: the caller paired wrongly.
var ErrShape = errors.New("matrices do not fit together")

const (
	maxUnits    = 1 << 17   // longer axes are taken as they stand
	maxRowBytes = 2 << 20   // matrices of longer rows are taken as they stand
	readBytes   = 128 << 10 // wanted of one read
)

// Matrix is an array in a file: element (i,j) is Block consecutive numbers at
// ((i·Cols)+j)·Block of those that begin at byte Offset, little-endian. A
// tensor [o,i,kh,kw] has Rows o, Cols i, Block kh·kw; a vector [n] has Rows n,
// Cols 1, Block 1. R is only read, by several goroutines at a time as
// [io.ReaderAt] allows.
type Matrix struct {
	R                 io.ReaderAt
	Offset            int64       // bytes
	Class             codec.Class // of the numbers; Other counts as bytes
	Rows, Cols, Block int         // each at least 1

	lift uint64 // added to integers to centre them, see centre
}

// Pair is a matrix in two releases: Old, which both ends hold, and New, which
// is to be coded. Class and shape are the same.
type Pair struct{ Old, New Matrix }

// check says whether the pair is one.
func (p Pair) check() error {
	o, n := p.Old, p.New
	if o.Class != n.Class || o.Rows != n.Rows || o.Cols != n.Cols || o.Block != n.Block {
		return fmt.Errorf("%w: old is %dx%dx%d of class %d, new %dx%dx%d of class %d: pair only equal shapes",
			ErrShape, o.Rows, o.Cols, o.Block, o.Class, n.Rows, n.Cols, n.Block, n.Class)
	}
	for _, m := range []Matrix{o, n} {
		if m.R == nil || m.Offset < 0 || m.Rows < 1 || m.Cols < 1 || m.Block < 1 {
			return fmt.Errorf("%w: no reader, a negative offset or an empty axis", ErrShape)
		}
		room := (math.MaxInt64 - m.Offset) / int64(m.Class.Width())
		if int64(m.Rows) > room/int64(m.Cols)/int64(m.Block) {
			return fmt.Errorf("%w: %dx%dx%d numbers at byte %d are more than a file holds", ErrShape, m.Rows, m.Cols, m.Block, m.Offset)
		}
	}
	return nil
}

// eligible says whether the matrix is of a size that is searched.
func (m *Matrix) eligible() bool {
	return max(m.Rows, m.Cols) <= maxUnits && int64(m.Cols)*int64(m.Block) <= int64(maxRowBytes/m.Class.Width()) &&
		(m.Rows > 1 || m.Cols > 1)
}

// units returns the length of an axis.
func (m *Matrix) units(a side) int {
	if a == rows {
		return m.Rows
	}
	return m.Cols
}

// rowBytes returns the length of a row.
func (m *Matrix) rowBytes() int { return m.Cols * m.Block * m.Class.Width() }

// readRow reads row i whole into buf, which has rowBytes.
func (m *Matrix) readRow(buf []byte, i int) error {
	return m.read(buf, int64(i)*int64(len(buf)))
}

// read fills buf with the bytes that begin at byte at of the matrix.
func (m *Matrix) read(buf []byte, at int64) error {
	n, err := m.R.ReadAt(buf, m.Offset+at)
	if n == len(buf) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read matrix at byte %d: %w", m.Offset+at, err)
}

// eachRow calls f with every row in order; data is f's only until it returns.
func (m *Matrix) eachRow(ctx context.Context, f func(i int, data []byte)) error {
	row := m.rowBytes()
	batch := min(max(1, readBytes/row), m.Rows)
	buf := make([]byte, batch*row)
	for i := 0; i < m.Rows; i += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(batch, m.Rows-i)
		if err := m.read(buf[:n*row], int64(i)*int64(row)); err != nil {
			return err
		}
		for k := range n {
			f(i+k, buf[k*row:(k+1)*row])
		}
	}
	return nil
}

// side is an axis of a matrix.
type side int

const (
	rows side = iota
	cols
)

// other returns the other axis.
func (a side) other() side { return 1 - a }
