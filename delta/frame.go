package delta

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/text"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

const (
	// frameBytes is how much of the new view a frame codes, copies aside: as
	// much as keeps models warm, and as little as two frames at work may hold.
	// Decoders refuse more.
	frameBytes = 8 << 20
	// fastFrameBytes is the same where there are no models to keep warm.
	fastFrameBytes = 2 << 20
	// maxOpBytes bounds a step; only a copy comes near.
	maxOpBytes = 1 << 46
	// maxFrameOps bounds the steps of a frame.
	maxFrameOps = 1 << 18
	// maxPayload bounds a frame as it travels.
	maxPayload = frameBytes + frameBytes/8 + 1<<16
	// arrayBytes is how much of an array is coded at once, sparseBytes the same
	// of a sparse one: part of the format, as gaps end with it.
	arrayBytes, sparseBytes = 64 << 10, 256 << 10
	// planeBytes is how much a frame of package codec holds.
	planeBytes = 1 << 20
)

// modelKey names one of the models of a frame.
type modelKey struct {
	class codec.Class
	kind  modelKind
}

// modelKind tells models apart that learn different things.
type modelKind int

const (
	alone    modelKind = iota
	based              // differences from a basis
	sparse             // few of them
	periodic           // against what the array itself foretells
)

// model returns which model codes o.
func (o *op) model() modelKey {
	switch {
	case o.params.Sparse:
		return modelKey{o.class, sparse}
	case o.from >= 0:
		return modelKey{o.class, based}
	case o.params.Period > 0:
		return modelKey{o.class, periodic}
	}
	return modelKey{o.class, alone}
}

// newModel returns a model for steps like o.
func newModel(o *op) *weights.Model {
	kind := o.model().kind
	// Integers are coded as differences from what is foretold.
	return weights.NewModel(o.class, kind == based || kind == sparse || kind == periodic && !isFloat(o.class))
}

// frameCoder codes the steps of one frame, either way.
type frameCoder struct {
	old    *view
	tables []*table
	c      *mix.Coder
	plan   *planCoder
	side   []byte // encoding: collected; decoding: what is left
	models map[modelKey]*weights.Model
	text   *text.Model
	planes *codec.Coder
	basis  []byte
	diff   []byte
	spare  []byte
}

func newFrameCoder(old *view, tables []*table, c *mix.Coder, planes *codec.Coder) *frameCoder {
	return &frameCoder{
		old: old, tables: tables, c: c, plan: newPlanCoder(old.size), planes: planes,
		models: map[modelKey]*weights.Model{},
	}
}

// model returns the model that codes o.
func (f *frameCoder) model(o *op) *weights.Model {
	m := f.models[o.model()]
	if m == nil {
		m = newModel(o)
		f.models[o.model()] = m
	}
	return m
}

// array codes the numbers of data, of a whole step, by context mixing.
func (f *frameCoder) array(ctx context.Context, o *op, data []byte) error {
	m := f.model(o)
	m.Begin(o.params, o.start)
	basis, err := f.basisOf(o)
	if err != nil {
		return err
	}
	piece := arrayBytes
	if o.params.Sparse {
		piece = sparseBytes
	}
	for at := 0; at < len(data); at += piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := data[at:min(at+piece, len(data))]
		var from []byte
		var rest []int8
		if basis != nil {
			f.basis = grow(f.basis, len(p))
			from = f.basis
			if rest, err = basis.read(from, o.basis.skip+int64(at)); err != nil {
				return oldError(err)
			}
		}
		m.Code(f.c, from, rest, p)
		if err := f.c.Err(); err != nil { // early, for what hostile bytes may ask
			return fmt.Errorf("%w: %w", ErrDelta, err)
		}
	}
	return nil
}

// basisOf returns what reads the basis of a step, nil if it has none.
func (f *frameCoder) basisOf(o *op) (*basisReader, error) {
	if o.from < 0 {
		return nil, nil
	}
	return newBasisReader(f.old, o.from, o.class, o.basis, f.tables)
}

func oldError(err error) error { return fmt.Errorf("read old file: %w", err) }

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// finish returns the frame's payload.
func (f *frameCoder) finish() ([]byte, error) {
	if err := f.plan.code(f.c, &op{kind: opEnd}); err != nil {
		return nil, err
	}
	mixed := f.c.Finish()
	out := binary.AppendUvarint(make([]byte, 0, len(mixed)+len(f.side)+4), uint64(len(mixed)))
	out = append(out, mixed...)
	return append(out, f.side...), nil
}

// segment is a run of the new view: bytes, a part of a basis, or a copy of old
// bytes.
type segment struct {
	data       []byte
	basis      *basisReader
	from, size int64 // where data is nil
}

// decodeFrame turns a payload into what it stands for, at most limit bytes.
func decodeFrame(ctx context.Context, old *view, tables []*table, payload []byte, limit int64, planes *codec.Coder) ([]segment, error) {
	length, n := binary.Uvarint(payload)
	if n <= 0 || length > uint64(len(payload)-n) {
		return nil, fmt.Errorf("%w: frame of %d bytes", ErrDelta, len(payload))
	}
	mixed := payload[n : n+int(length)]
	f := newFrameCoder(old, tables, mix.NewDecoder(mixed), planes)
	f.side = payload[n+int(length):]
	var segments []segment
	var steps [][]byte // what each step coded
	coded := int64(0)
	for range maxFrameOps {
		var o op
		if err := f.plan.code(f.c, &o); err != nil {
			return nil, err
		}
		if o.kind == opEnd {
			if len(f.side) > 0 {
				return nil, fmt.Errorf("%w: %d bytes after the last step", ErrDelta, len(f.side))
			}
			if err := f.c.Err(); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrDelta, err)
			}
			return segments, nil
		}
		if limit -= o.size; limit < 0 {
			return nil, fmt.Errorf("%w: more bytes than the new file has", ErrDelta)
		}
		if o.kind == opCopy {
			segments = append(segments, segment{from: o.from, size: o.size})
			continue
		}
		if o.kind == opRepeat {
			segments = append(segments, segment{data: steps[o.from]})
			continue
		}
		if o.kind == opBasis {
			basis, err := f.basisOf(&o)
			if err != nil {
				return nil, err
			}
			segments = append(segments, segment{basis: basis, from: o.basis.skip, size: o.size})
			continue
		}
		if coded += o.size; coded > frameBytes {
			return nil, fmt.Errorf("%w: frame of more than %d bytes", ErrDelta, frameBytes)
		}
		data, err := f.decode(ctx, &o)
		if err != nil {
			return nil, err
		}
		steps = append(steps, data)
		segments = append(segments, segment{data: data})
	}
	return nil, fmt.Errorf("%w: frame of more than %d steps", ErrDelta, maxFrameOps)
}

// decode returns the bytes of a step that codes some.
func (f *frameCoder) decode(ctx context.Context, o *op) ([]byte, error) {
	data := make([]byte, o.size)
	switch o.kind {
	case opArray, opSparse:
		return data, f.array(ctx, o, data)
	case opPlanes:
		return data, f.joinPlanes(ctx, o, data)
	case opText:
		return data, f.codeText(ctx, o, data)
	}
	return data, f.joinBlock(ctx, o, data)
}

// take returns the next n bytes beside the mixed ones.
func (f *frameCoder) take(n int64) ([]byte, error) {
	if n > int64(len(f.side)) {
		return nil, fmt.Errorf("%w: %d bytes wanted, %d left", ErrDelta, n, len(f.side))
	}
	out := f.side[:n]
	f.side = f.side[n:]
	return out, nil
}
