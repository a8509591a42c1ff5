package delta

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/container"
)

// Decode reads a delta made against old from r and writes the new file to w, in
// order. It stops after the delta's last record. The error wraps [ErrDelta],
// [ErrVersion], [ErrBasis] or [ErrResult], or is one of reading or writing, or
// ctx's, at whose end Decode stops within a few hundred thousand bytes of work.
// Bytes that were written stand only if Decode returns nil.
func Decode(ctx context.Context, old Version, r io.Reader, w io.Writer, opt Options) error {
	in := bufio.NewReaderSize(r, 64<<10)
	h, err := readHeader(in)
	if err != nil {
		return err
	}
	if h.oldSize != old.Size {
		return fmt.Errorf("%w: of %d bytes, this one has %d", ErrBasis, h.oldSize, old.Size)
	}
	if opt.NewSize > 0 && h.newSize != opt.NewSize {
		return fmt.Errorf("%w: of a file of %d bytes, want %d", ErrDelta, h.newSize, opt.NewSize)
	}
	have, err := sketch(old.R, old.Size)
	if err != nil {
		return err
	}
	if have != h.oldSketch {
		return fmt.Errorf("%w: of as many bytes, but others", ErrBasis)
	}
	d := &decoder{h: h, opt: opt, sum: sha256.New(), w: w}
	if err := d.see(ctx, old, in); err != nil {
		if d.tee != nil {
			err = errors.Join(err, d.tee.Close())
		}
		return err
	}
	err = errors.Join(d.run(ctx, in), d.out.Close(), d.tee.Close(), d.old.Close())
	if err != nil {
		return err
	}
	if d.left != 0 {
		return fmt.Errorf("%w: it ends %d bytes before the new file does", ErrDelta, d.left)
	}
	if got := d.sum.Sum(nil); [targetBytes]byte(got[:targetBytes]) != h.target {
		return fmt.Errorf("%w: %x, want %x", ErrResult, got[:targetBytes], h.target)
	}
	return nil
}

type decoder struct {
	old    *view
	tables []*table // read and not forgotten
	opt    Options
	h      header
	left   int64 // bytes of the new view to come
	size   int64 // of the new view
	out    *repacker
	tee    *tee
	sum    hash.Hash
	w      io.Writer
	planes codec.Coder
	buf    []byte
}

// see makes the view of the old file as the delta's first record tells.
func (d *decoder) see(ctx context.Context, old Version, in *bufio.Reader) error {
	var packs [2][]container.Pack
	if first, err := in.Peek(1); err == nil && first[0] == recordPacks {
		_, payload, err := readRecord(in)
		if err != nil {
			return err
		}
		if packs[0], packs[1], err = parsePacks(payload, old.Size, d.h.newSize, &d.planes); err != nil {
			return err
		}
	}
	d.left = viewSize(d.h.newSize, packs[1])
	d.size = d.left
	d.tee = newTee(d.w, d.sum)
	d.out = &repacker{w: d.tee, packs: packs[1]}
	var err error
	if d.old, err = newView(ctx, old.R, old.Size, packs[0], d.opt.Temp); errors.Is(err, container.ErrPack) || errors.Is(err, container.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", ErrDelta, err)
	}
	return err
}

// readRecord reads the kind and the payload of a record; the end has none.
func readRecord(in *bufio.Reader) (kind uint64, payload []byte, err error) {
	if kind, err = readUvarint(in, records-1); err != nil || kind == recordEnd {
		return kind, nil, err
	}
	size, err := readUvarint(in, maxPayload)
	if err != nil {
		return kind, nil, err
	}
	// Grown as it comes: the length is a claim.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, in, int64(size)); err != nil {
		return kind, nil, short(err, "record")
	}
	return kind, b.Bytes(), nil
}

// decoding is a frame at work.
type decoding struct {
	payload []byte
	tables  []*table
	result  chan []segment
}

// run reads frames, has them decoded by workers, and writes them in order. All
// that it starts has ended when it returns.
func (d *decoder) run(ctx context.Context, in *bufio.Reader) error {
	g, ctx := errgroup.WithContext(ctx)
	workers := d.opt.workers()
	todo := make(chan *decoding)
	inOrder := make(chan *decoding, 1)
	g.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return d.read(ctx, in, func(j *decoding) error {
			for _, to := range []chan *decoding{inOrder, todo} {
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
				segments, err := decodeFrame(ctx, d.old, j.tables, j.payload, d.size, &d.planes)
				if err != nil {
					return err
				}
				j.result <- segments
			}
			return nil
		})
	}
	g.Go(func() error {
		for j := range inOrder {
			select {
			case segments := <-j.result:
				if err := d.write(ctx, segments); err != nil {
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

// read yields the frames until the end of the delta.
func (d *decoder) read(ctx context.Context, in *bufio.Reader, emit func(*decoding) error) error {
	for {
		kind, payload, err := readRecord(in)
		if err != nil || kind == recordEnd {
			return err
		}
		if kind != recordFrame {
			if err := d.table(kind, payload); err != nil {
				return err
			}
			continue
		}
		if err := emit(&decoding{payload: payload, tables: d.tables, result: make(chan []segment, 1)}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// table takes a table for the frames to come, or forgets all but the first ones.
func (d *decoder) table(kind uint64, payload []byte) error {
	if kind == recordPacks {
		return fmt.Errorf("%w: packed runs after the first record", ErrDelta)
	}
	if kind == recordForget {
		keep, n := binary.Uvarint(payload)
		if n != len(payload) || keep > uint64(len(d.tables)) {
			return fmt.Errorf("%w: it keeps %d of %d tables", ErrDelta, keep, len(d.tables))
		}
		d.tables = slices.Clone(d.tables[:keep])
		return nil
	}
	t, err := parseTable(payload, &d.planes)
	if err != nil {
		return err
	}
	if !fits(d.tables, t) {
		return fmt.Errorf("%w: more tables than may be there at once", ErrDelta)
	}
	d.tables = append(d.tables, t)
	return nil
}

// write writes the bytes of a frame.
func (d *decoder) write(ctx context.Context, segments []segment) error {
	for i := range segments {
		s := segments[i]
		segments[i] = segment{} // a reader of a basis has its buffers
		size := s.size
		if s.data != nil {
			size = int64(len(s.data))
		}
		if d.left -= size; d.left < 0 {
			return fmt.Errorf("%w: more bytes than the new file has", ErrDelta)
		}
		if s.data != nil {
			if err := d.put(s.data); err != nil {
				return err
			}
			continue
		}
		d.buf = grow(d.buf, 256<<10)
		for at := int64(0); at < s.size; at += int64(len(d.buf)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			p := d.buf[:min(int64(len(d.buf)), s.size-at)]
			if err := s.read(d.old, p, at); err != nil {
				return oldError(err)
			}
			if err := d.put(p); err != nil {
				return err
			}
		}
	}
	if d.opt.Progress != nil {
		d.opt.Progress(d.size-d.left, d.size)
	}
	return nil
}

func (d *decoder) put(p []byte) error {
	if _, err := d.out.Write(p); err != nil {
		return fmt.Errorf("write new file: %w", err)
	}
	return nil
}

// read fills p with the bytes from at on of a segment without data.
func (s *segment) read(old *view, p []byte, at int64) error {
	if s.basis == nil {
		return readFull(old, p, s.from+at)
	}
	_, err := s.basis.read(p, s.from+at)
	return err
}
