package delta

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

// opKind says how the next bytes of the new file come about. Values are part of
// the format.
type opKind uint64

const (
	opEnd    opKind = iota // nothing follows in this frame
	opCopy                 // bytes of the old file
	opArray                // numbers, context mixing
	opPlanes               // numbers, byte planes
	opText                 // bytes, context mixing
	opBlock                // bytes, a frame of package codec
	opBasis                // the basis as it is
	opRepeat               // what an earlier step of this frame coded
	opSparse               // numbers, of which few differ from the basis
	opKinds
)

func (k opKind) String() string {
	return [...]string{"end", "identical", "weights", "planes", "text", "block", "identical", "repeat", "weights"}[k]
}

// op is a step of a plan: size bytes of the new view.
type op struct {
	kind opKind
	size int64
	// from is the offset in the old view of the bytes to copy, of the basis, or
	// of where text probably goes on; -1: none.
	from  int64
	class codec.Class
	// An array's rows, and the column where it starts.
	cols, start int
	params      weights.Params
	basis       transform
	side        int64 // bytes beside the mixed ones: planes and blocks
}

// planCoder codes ops, each relative to what the last ones were. Encoder and
// decoder run the same code.
type planCoder struct {
	n        *numbers
	expected int64 // where old bytes go on
	cols     int
	top      [16]int
	oldSize  int64
	sizes    []int64 // of the steps that coded bytes
}

func newPlanCoder(oldSize int64) *planCoder {
	return &planCoder{n: newNumbers(), oldSize: oldSize}
}

// code codes o: encoding, all of o is given and stays as it is; decoding, o is
// filled in, and every number is checked, for the file but not for its contents.
func (p *planCoder) code(c *mix.Coder, o *op) error {
	o.kind = opKind(p.n.code(c, fieldKind, uint64(o.kind)))
	if o.kind >= opKinds {
		return fmt.Errorf("%w: step of kind %d", ErrDelta, o.kind)
	}
	if o.kind == opEnd {
		return nil
	}
	if o.kind == opRepeat {
		return p.codeRepeat(c, o)
	}
	o.size = int64(p.n.code(c, fieldLength, uint64(o.size-1))) + 1
	if o.size < 1 || o.size > maxOpBytes {
		return fmt.Errorf("%w: step of %d bytes", ErrDelta, o.size)
	}
	if o.kind != opCopy && o.kind != opBasis {
		p.sizes = append(p.sizes, o.size)
	}
	if o.kind == opBlock || o.kind == opPlanes {
		if o.side = int64(p.n.code(c, fieldSize, uint64(o.side))); o.side < 0 || o.side > maxPayload {
			return fmt.Errorf("%w: %d bytes of blocks", ErrDelta, o.side)
		}
	}
	if err := p.codeFrom(c, o); err != nil {
		return err
	}
	mixed := o.kind == opArray || o.kind == opSparse
	if !mixed && o.kind != opPlanes && o.kind != opBasis {
		return nil
	}
	o.class = codec.Class(p.n.code(c, fieldClass, uint64(o.class)))
	if o.class == codec.Other || o.class > codec.I64 || o.size%int64(o.class.Width()) != 0 {
		return fmt.Errorf("%w: array of class %d in %d bytes", ErrDelta, o.class, o.size)
	}
	if err := o.basis.code(c, p, o); err != nil {
		return err
	}
	if o.basis.kind == asIs && (o.kind == opBasis || o.from >= 0 && o.from > p.oldSize-o.size) {
		return fmt.Errorf("%w: basis at %d+%d of %d", ErrDelta, o.from, o.size, p.oldSize)
	}
	if !mixed {
		return nil
	}
	return p.codeParams(c, o)
}

// codeRepeat codes which step o repeats: from is its number in the frame,
// copies aside.
func (p *planCoder) codeRepeat(c *mix.Coder, o *op) error {
	back := p.n.code(c, fieldBack, uint64(int64(len(p.sizes))-1-o.from))
	if back >= uint64(len(p.sizes)) {
		return fmt.Errorf("%w: repeats step %d of %d", ErrDelta, back, len(p.sizes))
	}
	o.from = int64(len(p.sizes)-1) - int64(back)
	o.size = p.sizes[o.from]
	p.expected = min(p.expected+o.size, p.oldSize)
	return nil
}

// codeFrom codes where the old bytes lie, as the distance from where the last
// ones ended.
func (p *planCoder) codeFrom(c *mix.Coder, o *op) error {
	none := 0
	if o.kind == opCopy {
		o.from = max(o.from, 0)
	} else {
		if o.from < 0 {
			none = 1
		}
		none = int(p.n.code(c, fieldTable, uint64(none)))
	}
	if none != 0 {
		o.from = -1
		return nil
	}
	o.from = p.expected + p.n.signed(c, fieldOffset, o.from-p.expected)
	need := int64(0)
	if o.kind == opCopy {
		need = o.size
	}
	if o.from < 0 || o.from > p.oldSize-need {
		return fmt.Errorf("%w: %d old bytes at %d of %d", ErrDelta, need, o.from, p.oldSize)
	}
	p.expected = min(o.from+o.size, p.oldSize)
	return nil
}

func (p *planCoder) codeParams(c *mix.Coder, o *op) error {
	o.cols = int(p.n.signed(c, fieldCols, int64(o.cols-p.cols))) + p.cols
	if o.cols < 0 || o.cols > maxCols {
		return fmt.Errorf("%w: rows of %d elements", ErrDelta, o.cols)
	}
	p.cols = o.cols
	if o.cols > 0 {
		if o.start = int(p.n.code(c, fieldCols, uint64(o.start))); o.start < 0 || o.start >= o.cols {
			return fmt.Errorf("%w: column %d of %d", ErrDelta, o.start, o.cols)
		}
	}
	q := &o.params
	q.Class, q.Cols, q.Based = o.class, o.cols, o.from >= 0
	if o.class == codec.F16 || o.class == codec.BF16 || o.class == codec.F32 || o.class == codec.F64 {
		top := &p.top[o.class]
		q.Top = *top + int(p.n.signed(c, fieldTop, int64(q.Top-*top)))
		*top = q.Top
	}
	if q.Sparse = o.kind == opSparse; q.Sparse {
		q.Level = int(p.n.code(c, fieldLevel, uint64(q.Level)))
		return validParams(q)
	}
	zeros := 0
	if q.Zeros {
		zeros = 1
	}
	if o.from < 0 {
		q.Period = int(p.n.code(c, fieldPeriod, uint64(q.Period)))
	}
	both := p.n.code(c, fieldLevel, uint64(q.Level*2+zeros))
	q.Level, q.Zeros = int(both/2), both%2 == 1
	return validParams(q)
}

// validParams says what is wrong with parameters.
func validParams(q *weights.Params) error {
	if err := q.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrDelta, err)
	}
	return nil
}
