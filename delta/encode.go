package delta

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// The kinds of records that follow the header.
const (
	recordEnd    = iota // and nothing after it
	recordFrame         // bytes of the new file
	recordTable         // for transforms; numbered from 0
	recordForget        // all tables but so many, a uvarint
	recordPacks         // the packed runs of both files; the first record, if any
	records
)

// maxWorkers bounds the frames that are coded at once, and so the memory.
const maxWorkers = 2

func (o *Options) workers() int {
	if o.Workers > 0 {
		return min(o.Workers, maxWorkers)
	}
	return min(runtime.GOMAXPROCS(0), maxWorkers)
}

// Encode writes the delta that makes next from old to w, and says what it is
// made of. The same two versions and the same options give the same bytes each
// time. It fails if either file cannot be read, w not be written or ctx ends,
// within a few hundred thousand bytes of work; what w got by then is worthless.
func Encode(ctx context.Context, old, next Version, w io.Writer, opt Options) (report Report, err error) {
	report = Report{OldBytes: old.Size, NewBytes: next.Size}
	adapter, err := openAdapter(ctx, opt.Adapter)
	if err != nil {
		return report, err
	}
	for _, v := range []Version{old, next} {
		if v.Size < 0 || v.Size > manifest.MaxFileBytes {
			return report, fmt.Errorf("delta of a file of %d bytes, at most %d", v.Size, int64(manifest.MaxFileBytes))
		}
	}
	h := header{oldSize: old.Size, newSize: next.Size}
	if h.oldSketch, err = sketch(old.R, old.Size); err != nil {
		return report, err
	}
	if h.target, err = digest(ctx, next.R, next.Size); err != nil {
		return report, err
	}
	out := &counter{w: w}
	if _, err := out.Write(h.append(nil)); err != nil {
		return report, err
	}
	e := &encoder{opt: opt, out: out, report: &report}
	if err := e.see(ctx, old, next); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, e.old.Close(), e.next.Close()) }()
	plan, err := newPlanner(ctx, e.old, e.next, old.Name, next.Name, &opt)
	if err != nil {
		return report, err
	}
	plan.adapter = adapter
	if err := e.run(ctx, plan); err != nil {
		return report, err
	}
	_, err = out.Write([]byte{recordEnd})
	report.DeltaBytes = out.n
	return report, err
}

// see makes the views of both files, their containers seen through.
func (e *encoder) see(ctx context.Context, old, next Version) error {
	var packs [2][]container.Pack
	var err error
	for i, file := range []Version{old, next} {
		if packs[i], err = container.Find(ctx, file.R, file.Size); err != nil {
			return err
		}
		if len(packs[i]) == 0 {
			if packs[i], err = blockPacks(ctx, file); err != nil {
				return err
			}
		}
		packs[i] = packs[i][:min(len(packs[i]), maxPacks)]
	}
	if e.old, err = newView(ctx, old.R, old.Size, packs[0], e.opt.Temp); err != nil {
		return err
	}
	if e.next, err = newView(ctx, next.R, next.Size, packs[1], e.opt.Temp); err != nil {
		return errors.Join(err, e.old.Close())
	}
	if len(packs[0])+len(packs[1]) == 0 {
		return nil
	}
	payload, err := appendPacks(nil, packs[0], packs[1], &e.planes)
	if err == nil {
		err = e.record(recordPacks, payload)
	}
	if err != nil {
		err = errors.Join(err, e.old.Close(), e.next.Close())
	}
	return err
}

// record writes a record; only the end, a single zero byte, has another form.
func (e *encoder) record(kind byte, payload []byte) error {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(payload)))
	_, err := e.out.Write(append(head, payload...))
	return err
}

// counter counts what is written, and says of errors that they are w's.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err != nil {
		return n, fmt.Errorf("write delta: %w", err)
	}
	return n, nil
}

func newError(err error) error { return fmt.Errorf("read new file: %w", err) }

// encoder turns a plan into frames.
type encoder struct {
	old    *view
	next   *view
	opt    Options
	out    *counter
	report *Report
	planes codec.Coder
	done   int64
}

// job is a record to be written: a frame to be coded, whose payload a worker
// sends, or another one, whose payload is there.
type job struct {
	kind   byte
	pieces []piece
	tables []*table
	result chan []byte
	tally  tally
}

// run cuts the plan into frames, has them coded by workers, and writes them in
// order. All that it starts has ended when it returns.
func (e *encoder) run(ctx context.Context, plan *planner) error {
	g, ctx := errgroup.WithContext(ctx)
	workers := e.opt.workers()
	todo := make(chan *job)
	inOrder := make(chan *job, 1)
	g.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return e.cut(ctx, plan, func(j *job) error {
			for _, to := range []chan *job{inOrder, todo} {
				if j.kind != recordFrame && to == todo {
					continue
				}
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		g.Go(func() error {
			for j := range todo {
				payload, err := e.frame(ctx, j)
				if err != nil {
					return err
				}
				j.result <- payload
			}
			return nil
		})
	}
	g.Go(func() error {
		for j := range inOrder {
			select {
			case payload := <-j.result:
				if err := e.write(j, payload); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

func (e *encoder) write(j *job, payload []byte) error {
	if err := e.record(j.kind, payload); err != nil {
		return err
	}
	e.report.add(&j.tally)
	for i := range j.pieces {
		e.done += j.pieces[i].size
	}
	if e.opt.Progress != nil {
		e.opt.Progress(e.done, e.next.size)
	}
	return nil
}

// frameLimit returns how many bytes of a view of size bytes a frame codes: few
// frames keep models warm, but an even number of them keeps two workers busy.
func frameLimit(size int64, effort codec.Effort) int64 {
	if effort != codec.Strong {
		return fastFrameBytes
	}
	frames := (size + frameBytes - 1) / frameBytes
	if frames%2 == 1 && size > frameBytes/2 {
		frames++
	}
	if frames < 2 {
		return frameBytes
	}
	return min((size/frames+64)/64*64, frameBytes)
}

// cut gathers pieces into frames of a limited size, copies aside, and sends
// the tables that they need before them.
func (e *encoder) cut(ctx context.Context, plan *planner, emit func(*job) error) error {
	limit := frameLimit(e.next.size, e.opt.Effort)
	room := limit
	var pieces []piece
	flush := func() error {
		if len(pieces) == 0 {
			return nil
		}
		j := &job{kind: recordFrame, pieces: pieces, tables: plan.tables.list, result: make(chan []byte, 1)}
		room, pieces = limit, nil
		return emit(j)
	}
	plan.tables.emit = func(kind byte, payload []byte) error {
		if kind == recordForget { // what is gathered needs what is to be forgotten
			if err := flush(); err != nil {
				return err
			}
		}
		j := &job{kind: kind, result: make(chan []byte, 1)}
		j.result <- payload
		return emit(j)
	}
	err := plan.pieces(ctx, func(p piece) error {
		if p.equal {
			if pieces = append(pieces, p); len(pieces) >= maxFrameOps/2 {
				return flush()
			}
			return nil
		}
		for p.size > 0 {
			part := p
			if part.size = min(p.size, room); part.size < p.size {
				part.size -= part.size % 64 // whole elements of every class
			}
			if part.size > 0 {
				pieces = append(pieces, part)
			}
			room -= part.size
			p.skip(part.size)
			if p.size > 0 || room < 64 || len(pieces) >= maxFrameOps/2 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
