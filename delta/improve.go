package delta

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
	"github.com/dunlin-mesh/dunlin/delta/derive"
)

// tables are those that were sent and not yet forgotten.
type tables struct {
	list  []*table
	kept  int  // of the first ones, which stay
	stay  bool // the tables added now are to stay: none is forgotten for them
	bytes int
	coder codec.Coder
	emit  func(kind byte, payload []byte) error
}

// add sends a table and returns its number, or -1 if it is too large, or there
// is no room for one that is to stay.
func (t *tables) add(next *table) (int, error) {
	payload, err := next.marshal(&t.coder)
	if err != nil || len(payload) > maxTableBytes {
		return -1, err
	}
	if t.bytes+len(payload) > maxTablesBytes || !fits(t.list, next) {
		if t.stay || !fits(t.list[:t.kept], next) {
			return -1, nil
		}
		if err := t.emit(recordForget, binary.AppendUvarint(nil, uint64(t.kept))); err != nil {
			return -1, err
		}
		t.list, t.bytes = append([]*table(nil), t.list[:t.kept]...), 0
	}
	t.list, t.bytes = append(t.list, next), t.bytes+len(payload)
	return len(t.list) - 1, t.emit(recordTable, payload)
}

// matrix returns a region as a matrix: rows by its first side, columns by its
// second, blocks by what is left. Bytes of no known shape are rows of r.cols.
func (r *region) matrix(v *view) align.Matrix {
	m := align.Matrix{R: v, Offset: r.at, Class: r.class, Rows: 1, Cols: 1, Block: 1}
	shape := r.shape
	for len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	n := int(r.size) / r.class.Width()
	switch {
	case len(shape) == 0 && r.cols > 1 && n%r.cols == 0:
		m.Rows, m.Cols = n/r.cols, r.cols
	case len(shape) == 0 || elements(shape) != uint64(n):
		m.Rows = n
	default:
		m.Rows = int(shape[0])
		if len(shape) > 1 {
			m.Cols = int(shape[1])
			m.Block = n / m.Rows / m.Cols
		}
	}
	return m
}

func elements(shape []uint64) uint64 {
	n := uint64(1)
	for _, d := range shape {
		if d == 0 || n > math.MaxInt64/d {
			return 0
		}
		n *= d
	}
	return n
}

// transformOf returns a transform of a region's matrix.
func transformOf(kind transformKind, m align.Matrix, first, second int) transform {
	return transform{kind: kind, rows: m.Rows, cols: m.Cols, block: m.Block, oldClass: m.Class, first: first, second: second}
}

// findOrders looks for permutations in all pairs at once.
func (p *planner) findOrders(ctx context.Context) error {
	p.orders = make([]transform, len(p.news))
	var pairs []align.Pair
	var numbers []int
	for i := range p.news {
		j := p.pairs[i].old
		if j < 0 || p.news[i].class == codec.Other || p.news[i].class != p.olds[j].class || p.news[i].size != p.olds[j].size {
			continue
		}
		next := p.news[i].matrix(p.next)
		old := next
		old.R, old.Offset = p.old, p.olds[j].at
		pairs = append(pairs, align.Pair{Old: old, New: next})
		numbers = append(numbers, i)
	}
	orders, aligned, err := align.Permutations(ctx, pairs)
	if err != nil {
		return err
	}
	ids := make([]int, len(orders)+1)
	ids[len(orders)] = -1
	p.tables.stay = true
	for k, order := range orders {
		if ids[k], err = p.tables.add(&table{order: order}); err != nil {
			return err
		}
	}
	p.tables.kept, p.tables.bytes, p.tables.stay = len(p.tables.list), 0, false
	id := func(k int) int {
		if k < 0 {
			return -1
		}
		return ids[k]
	}
	for k, a := range aligned {
		if row, col := id(a.Row), id(a.Col); row >= 0 || col >= 0 {
			p.orders[numbers[k]] = transformOf(permuted, pairs[k].New, row, col)
		}
	}
	return nil
}

// transform returns how the basis of region i is best made, sending the table
// that it takes.
func (p *planner) transform(ctx context.Context, i int) (transform, error) {
	if p.orders[i].kind != asIs {
		return p.orders[i], nil
	}
	r, o := &p.news[i], &p.olds[p.pairs[i].old]
	if p.pairs[i].converted {
		return p.convert(ctx, i)
	}
	if r.class == codec.Other {
		return transform{}, nil
	}
	next := r.matrix(p.next)
	old := next
	old.R, old.Offset = p.old, o.at
	if t, ok, err := p.transpose(r, o); ok || err != nil {
		return t, err
	}
	if !isFloat(r.class) || next.Rows < 2 || next.Cols*next.Block < 4 || next.Cols*next.Block > maxRowElements {
		return transform{}, nil
	}
	f, ok, err := p.factors(ctx, i, old, next)
	if err != nil {
		return transform{}, err
	}
	if ok {
		k, err := p.tables.add(&table{factors: &f})
		if err == nil && k >= 0 {
			return transformOf(lowRank, next, k, -1), nil
		}
		if err != nil {
			return transform{}, err
		}
	}
	gains, err := findGains(ctx, old, next)
	if err != nil || gains == nil {
		return transform{}, err
	}
	k, err := p.tables.add(&table{gains: gains})
	if err != nil || k < 0 {
		return transform{}, err
	}
	return transformOf(scaled, next, k, -1), nil
}

// maxRank bounds the rank of an update that is looked for.
const maxRank = 64

// convert returns how region i derives from one of another class; if it does
// not, the region loses its basis.
func (p *planner) convert(ctx context.Context, i int) (transform, error) {
	r, o := &p.news[i], &p.olds[p.pairs[i].old]
	old := o.matrix(p.old)
	next := r.matrix(p.next)
	if r.class == codec.Other { // blocks: a row is so many bytes
		next.Rows, next.Cols, next.Block = old.Rows, int(r.size)/old.Rows, 1
	} else {
		next.Rows, next.Cols, next.Block = old.Rows, old.Cols, old.Block
	}
	width := int64(r.class.Width())
	if int64(next.Rows)*int64(next.Cols)*int64(next.Block)*width == r.size {
		k, ok, err := derive.FindConversion(ctx, old, next)
		if err != nil {
			return transform{}, err
		}
		if ok {
			id, err := p.tables.add(&table{conversion: &k})
			if err != nil {
				return transform{}, err
			}
			if id >= 0 {
				if r.class == codec.Other {
					r.class = codec.Int8 // as which its blocks are coded
				}
				t := transformOf(converted, next, id, -1)
				t.oldClass = o.class
				return t, nil
			}
		}
	}
	p.pairs[i] = basis{old: -1}
	return transform{}, nil
}

// transpose returns the transform of a matrix whose rows are the columns of its
// old one, if it is that.
func (p *planner) transpose(r, o *region) (transform, bool, error) {
	m, was := r.matrix(p.next), o.matrix(p.old)
	if m.Block != 1 || was.Block != 1 || m.Rows < 2 || m.Cols < 2 || m.Rows != was.Cols || m.Cols != was.Rows {
		return transform{}, false, nil
	}
	t := transformOf(transposed, m, -1, -1)
	width := r.class.Width()
	n := min(m.Rows, 8) * m.Cols * width
	if m.Cols > maxRowElements || n > 8<<20 {
		return transform{}, false, nil
	}
	turned, err := newBasisReader(p.old, o.at, r.class, t, nil)
	if err != nil {
		return transform{}, false, err
	}
	next, basis, diff := make([]byte, n), make([]byte, n), make([]byte, n)
	if err := readFull(p.next, next, r.at); err != nil {
		return transform{}, false, newError(err)
	}
	if err := readFull(p.old, basis, o.at); err != nil {
		return transform{}, false, oldError(err)
	}
	straight := distance(diff, next, basis, r.class)
	if _, err := turned.read(basis, 0); err != nil {
		return transform{}, false, oldError(err)
	}
	return t, distance(diff, next, basis, r.class) < straight/10*9, nil
}
