package delta

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

// repeatBytes is the least size of a piece that is looked for among those before
// it in the frame.
const repeatBytes = 64

// frame codes the pieces of a job.
func (e *encoder) frame(ctx context.Context, j *job) ([]byte, error) {
	f := newFrameCoder(e.old, j.tables, mix.NewEncoder(nil), &e.planes)
	var data []byte
	seen := map[[sha256.Size]byte]int64{}
	steps := int64(0)
	for i := range j.pieces {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := &j.pieces[i]
		before := f.bytes()
		kind := opCopy
		if p.equal {
			o := op{kind: opCopy, size: p.size, from: p.from}
			if p.basis.kind != asIs {
				o.kind, o.class, o.basis = opBasis, p.region.class, p.basis
			}
			if err := f.plan.code(f.c, &o); err != nil {
				return nil, err
			}
		} else {
			data = grow(data, int(p.size))
			if err := readFull(e.next, data, p.at); err != nil {
				return nil, newError(err)
			}
			sum := sha256.Sum256(data)
			if step, ok := seen[sum]; ok && p.size >= repeatBytes {
				if err := f.plan.code(f.c, &op{kind: opRepeat, from: step}); err != nil {
					return nil, err
				}
				j.tally.add(p, opRepeat, f.bytes()-before)
				continue
			}
			seen[sum] = steps
			steps++
			var err error
			if kind, err = e.piece(ctx, f, p, data); err != nil {
				return nil, err
			}
		}
		j.tally.add(p, kind, f.bytes()-before)
	}
	return f.finish()
}

// bytes returns how much was coded so far.
func (f *frameCoder) bytes() int { return f.c.Bytes() + len(f.side) }

// piece codes a piece that is not a copy.
func (e *encoder) piece(ctx context.Context, f *frameCoder, p *piece, data []byte) (opKind, error) {
	o := op{size: p.size, from: p.from, class: p.region.class, basis: p.basis}
	if o.class == codec.Other {
		if o.from > e.old.size { // where text goes on is only a hint
			o.from = -1
		}
		if e.opt.Effort == codec.Strong && !noise(data) {
			o.kind = opText
			if err := f.plan.code(f.c, &o); err != nil {
				return o.kind, err
			}
			return o.kind, f.codeText(ctx, &o, data)
		}
		return f.addBlock(ctx, &o, data)
	}
	if e.opt.Effort != codec.Strong {
		return f.addPlanes(ctx, &o, data)
	}
	o.kind = opArray
	o.cols = p.region.cols
	if o.cols > 0 {
		o.start = int(p.start % int64(o.cols))
		if p.size/int64(o.class.Width()) <= int64(o.cols)/2 {
			o.cols, o.start = 0, 0
		}
	}
	if err := e.chooseBasis(ctx, f, &o, data); err != nil {
		return o.kind, err
	}
	if err := f.plan.code(f.c, &o); err != nil {
		return o.kind, err
	}
	return o.kind, f.array(ctx, &o, data)
}

// noiseBytes is the least number of bytes of which it can be said that they are
// noise.
const noiseBytes = 64 << 10

// noise says whether all byte values are about equally frequent, as in what is
// compressed or encrypted already: models would take their time for nothing.
// Uniform noise of n bytes has a sum of squares of n²/256 + n.
func noise(data []byte) bool {
	if len(data) < noiseBytes {
		return false
	}
	var counts [256]uint64
	for _, b := range data {
		counts[b]++
	}
	var squares uint64
	for _, c := range counts {
		squares += c * c
	}
	n := uint64(len(data))
	return squares < n*n/256+n*n/25600+2*n
}

// sampleBytes is how much of an array is coded to see whether a basis helps.
const sampleBytes = 128 << 10

// excerpt is a run of an array, with its basis and what rounding took from that,
// if there are such.
type excerpt struct {
	data, basis []byte
	rest        []int8
}

// chooseBasis drops the basis of an array if it codes better without, and sets
// the parameters and whether it is sparse.
func (e *encoder) chooseBasis(ctx context.Context, f *frameCoder, o *op, data []byte) error {
	s, err := f.excerpt(o, data)
	if err != nil {
		return err
	}
	if s.basis != nil {
		if is, err := chooseSparse(ctx, f, o, s, data); is || err != nil {
			return err
		}
		if trial(ctx, o, s) >= trial(ctx, o, excerpt{data: s.data}) {
			o.from, o.basis, s.basis = -1, transform{}, nil
		}
	}
	if s.basis == nil {
		e.choosePeriod(ctx, o, data)
		s.data = data // the highest exponent must be that of all
	}
	period := o.params.Period
	o.params = weights.Measure(o.class, o.cols, s.basis, s.data)
	o.params.Period = period
	return nil
}

// excerpt returns the middle of an array.
func (f *frameCoder) excerpt(o *op, data []byte) (s excerpt, err error) {
	width := o.class.Width()
	n := min(len(data), sampleBytes/width*width)
	at := (len(data) - n) / 2 / width * width
	s.data = data[at : at+n]
	basis, err := f.basisOf(o)
	if basis == nil || err != nil {
		return s, err
	}
	s.basis = make([]byte, n)
	if s.rest, err = basis.read(s.basis, o.basis.skip+int64(at)); err != nil {
		return s, oldError(err)
	}
	return s, nil
}

// choosePeriod sets the period of an array without basis, if it has one that
// helps.
func (e *encoder) choosePeriod(ctx context.Context, o *op, data []byte) {
	period := weights.Period(o.class, o.cols, data)
	if period == 0 {
		return
	}
	width := o.class.Width()
	run := excerpt{data: data[:min(len(data), sampleBytes/width*width+8*period*width)]}
	with := *o
	with.params.Period = period
	if trial(ctx, &with, run) < trial(ctx, o, run) {
		o.params.Period = period
	}
}

// trial returns the bytes that an excerpt takes.
func trial(ctx context.Context, o *op, s excerpt) int {
	params := weights.Measure(o.class, o.cols, s.basis, s.data)
	params.Period = o.params.Period
	return trialWith(ctx, o, params, s)
}

// trialWith is trial with given parameters. What it returns once ctx has ended
// means nothing: the step that it is for finds out by itself.
func trialWith(ctx context.Context, o *op, params weights.Params, s excerpt) int {
	with := *o
	with.params = params
	if s.basis == nil {
		with.from = -1
	}
	m := newModel(&with)
	c := mix.NewEncoder(make([]byte, 0, len(s.data)))
	m.Begin(params, 0)
	if s.basis != nil {
		m.Code(c, s.basis, s.rest, s.data)
		return c.Bytes()
	}
	for run := range slices.Chunk(s.data, arrayBytes) { // of many rows, to see a period
		if ctx.Err() != nil {
			break
		}
		m.Code(c, nil, nil, run)
	}
	return c.Bytes()
}
