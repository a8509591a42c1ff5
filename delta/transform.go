package delta

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// transformKind says how old bytes become a basis. Values are part of the
// format.
type transformKind uint64

const (
	asIs       transformKind = iota
	permuted                 // rows and columns of a matrix in another order
	lowRank                  // the product of two factors added
	converted                // numbers of another class
	scaled                   // each row times a factor
	transposed               // columns for rows
	transforms
)

// transform says how old bytes become the basis of an array. It is about the
// whole of a region, of which a step codes the bytes from skip on. The zero
// value leaves the bytes as they are.
type transform struct {
	kind transformKind
	// The region as a matrix: of rows times cols elements of block numbers.
	rows, cols, block int
	oldClass          codec.Class // of converted numbers
	// Numbers of tables, -1 for none: the orders of rows and columns; or, in
	// first, the factors, the conversion or the gains.
	first, second int
	skip          int64 // bytes of the region before the step
}

// code codes t, of a step o, after its class.
func (t *transform) code(c *mix.Coder, p *planCoder, o *op) error {
	if o.from < 0 {
		*t = transform{}
		return nil
	}
	t.kind = transformKind(p.n.code(c, fieldTransform, uint64(t.kind)))
	if t.kind == asIs {
		*t = transform{}
		return nil
	}
	if t.kind >= transforms {
		return fmt.Errorf("%w: basis of kind %d", ErrDelta, t.kind)
	}
	for _, n := range []*int{&t.rows, &t.cols, &t.block} {
		if *n = int(min(p.n.code(c, fieldShape, uint64(*n)), 1<<40)); *n < 1 || *n > 1<<32 {
			return fmt.Errorf("%w: matrix with a side of %d", ErrDelta, *n)
		}
	}
	if int64(t.cols)*int64(t.block) > maxRowElements {
		return fmt.Errorf("%w: row of %d numbers", ErrDelta, t.cols*t.block)
	}
	for _, n := range []*int{&t.first, &t.second} {
		*n = int(p.n.code(c, fieldTable, uint64(*n+1))) - 1
	}
	if t.kind != converted {
		t.oldClass = o.class
	} else {
		if t.oldClass = codec.Class(p.n.code(c, fieldClass, uint64(t.oldClass))); t.oldClass > codec.I64 {
			return fmt.Errorf("%w: basis of class %d", ErrDelta, t.oldClass)
		}
	}
	if t.skip = int64(p.n.code(c, fieldSkip, uint64(t.skip))); t.skip < 0 {
		return fmt.Errorf("%w: basis from byte %d on", ErrDelta, t.skip)
	}
	return nil
}

// maxRowElements bounds a row that is transformed as a whole.
const maxRowElements = 1 << 20

// basisReader reads the basis of a region; it serves one goroutine.
type basisReader struct {
	old    *view
	from   int64
	t      transform
	tables []*table
	width  int // of an element of the basis
	class  codec.Class

	row      int    // the row in rowBytes, -1 for none
	rowBytes []byte // made, as in is, when first needed: a frame has many readers
	rest     []int8
	in       []byte
	inBytes  int    // of in: a row of the old matrix
	wide     int    // of an element of the old region
	outRow   int    // bytes of a row of the basis
	batch    []byte // of a transposed basis: rows from batchRow on
	batchRow int
}

// newBasisReader checks that t can be done with the tables at hand, and that the
// old matrix lies in the old view. It allocates next to nothing.
func newBasisReader(old *view, from int64, class codec.Class, t transform, tables []*table) (*basisReader, error) {
	r := &basisReader{old: old, from: from, t: t, tables: tables, class: class, width: class.Width(), wide: class.Width(), row: -1}
	if t.kind == asIs {
		return r, nil
	}
	n := t.cols * t.block
	r.outRow = n * r.width
	bad := func(what string) (*basisReader, error) {
		return nil, fmt.Errorf("%w: %s for a matrix of %d rows of %d numbers", ErrDelta, what, t.rows, n)
	}
	switch t.kind {
	case permuted:
		if t.first >= 0 && !r.table(t.first).permutes(t.rows) || t.second >= 0 && !r.table(t.second).permutes(t.cols) {
			return bad("no permutation")
		}
	case lowRank:
		if f := r.table(t.first).factors; f == nil || f.Rows != t.rows || f.Cols != n {
			return bad("no factors")
		}
	case converted:
		k := r.table(t.first).conversion
		if k == nil || k.Rows != t.rows || k.Cols*k.Block != n && k.To != codec.Other || k.From != t.oldClass || k.To != class && (k.To != codec.Other || class != codec.Int8) {
			return bad("no conversion")
		}
		r.wide = t.oldClass.Width()
		if k.To == codec.Other { // blocks: a row is so many bytes
			if n = k.Cols * k.Block; n < 1 || n > maxRowElements {
				return bad("no conversion")
			}
		}
	case transposed:
		if t.block != 1 {
			return bad("no transposition")
		}
	case scaled:
		if g := r.table(t.first).gains; len(g) != t.rows || !scales(class) {
			return bad("no factors")
		}
	}
	r.inBytes = n * r.wide
	if int64(t.rows) > (old.size-from)/int64(r.inBytes) {
		return bad("too few old bytes")
	}
	return r, nil
}

func (r *basisReader) table(i int) *table {
	if i < 0 || i >= len(r.tables) || r.tables[i] == nil {
		return &table{}
	}
	return r.tables[i]
}

// read fills p with the basis from byte at of the region on. It returns what
// rounding took from each element, where that is known.
func (r *basisReader) read(p []byte, at int64) ([]int8, error) {
	if r.t.kind == asIs {
		return nil, readFull(r.old, p, r.from+at)
	}
	if at < 0 || at > int64(r.t.rows)*int64(r.outRow)-int64(len(p)) {
		return nil, fmt.Errorf("%w: bytes %d+%d of a matrix of %d", ErrDelta, at, len(p), r.t.rows*r.outRow)
	}
	var rest []int8
	for done := 0; done < len(p); {
		row, skip := int((at+int64(done))/int64(r.outRow)), int((at+int64(done))%int64(r.outRow))
		if row != r.row {
			if err := r.compute(row); err != nil {
				return nil, err
			}
			r.row = row
		}
		n := copy(p[done:], r.rowBytes[skip:])
		if r.rest != nil {
			rest = append(rest, r.rest[skip/r.width:(skip+n)/r.width]...)
		}
		done += n
	}
	return rest, nil
}

// compute makes row i of the basis.
func (r *basisReader) compute(i int) error {
	t := &r.t
	if r.rowBytes == nil {
		r.rowBytes = make([]byte, r.outRow)
	}
	if t.kind == transposed {
		return r.transpose(i)
	}
	if r.in == nil {
		r.in = make([]byte, r.inBytes)
	}
	source := i
	if t.kind == permuted && t.first >= 0 {
		source = int(r.tables[t.first].order[i])
	}
	if err := readFull(r.old, r.in, r.from+int64(source)*int64(len(r.in))); err != nil {
		return err
	}
	switch t.kind {
	case permuted:
		if t.second < 0 {
			copy(r.rowBytes, r.in)
			break
		}
		cell := t.block * r.width
		for k, from := range r.tables[t.second].order {
			copy(r.rowBytes[k*cell:(k+1)*cell], r.in[int(from)*cell:])
		}
	case lowRank:
		r.rest = growRest(r.rest, len(r.in)/r.width)
		r.tables[t.first].factors.AddRowRest(i, r.class, r.in, r.rowBytes, r.rest)
	case converted:
		if k := r.tables[t.first].conversion; k.To == codec.Other {
			k.Row(i, r.in, r.rowBytes)
		} else {
			r.rest = growRest(r.rest, len(r.rowBytes)/r.width)
			k.RowRest(i, r.in, r.rowBytes, r.rest)
		}
	case scaled:
		scaleRow(r.rowBytes, r.in, r.class, r.tables[t.first].gains[i])
	}
	return nil
}

// transposeBytes returns how much of a transposed basis is made at once: a MiB,
// or a row.
func transposeBytes(row int) int { return max(1<<20/row, 1) * row }

// transpose makes row i of the basis, a column of the old matrix, and those that
// follow it: reading a few columns costs as much as reading one.
func (r *basisReader) transpose(i int) error {
	t := &r.t
	if r.batch == nil {
		r.batch, r.batchRow = make([]byte, 0, transposeBytes(r.outRow)), -1
		r.in = make([]byte, cap(r.batch)/t.cols)
	}
	if r.batchRow < 0 || i < r.batchRow || (i-r.batchRow)*r.outRow >= len(r.batch) {
		n := min(cap(r.batch)/r.outRow, t.rows-i)
		r.batch, r.batchRow = r.batch[:n*r.outRow], i
		for k := range t.cols {
			in := r.in[:n*r.width]
			if err := readFull(r.old, in, r.from+(int64(k)*int64(t.rows)+int64(i))*int64(r.width)); err != nil {
				return err
			}
			for j := range n {
				copy(r.batch[j*r.outRow+k*r.width:][:r.width], in[j*r.width:])
			}
		}
	}
	copy(r.rowBytes, r.batch[(i-r.batchRow)*r.outRow:])
	return nil
}

func growRest(b []int8, n int) []int8 {
	if cap(b) < n {
		return make([]int8, n)
	}
	return b[:n]
}
