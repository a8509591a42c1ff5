package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/container"
)

// view is a file with its containers seen through: in place of each packed run
// stand the bytes that it packs. It is an io.ReaderAt for several goroutines.
type view struct {
	file     io.ReaderAt
	fileSize int64
	size     int64
	parts    []part // in order, covering the view
	spill    *os.File
}

// part is a run of a view.
type part struct {
	at, size int64       // in the view
	file     int64       // where it, or its packed form, lies in the file
	r        io.ReaderAt // its bytes, from 0; nil: the file's
	class    codec.Class // of unpacked elements
	strip    *strip      // of blocks that were taken apart
}

// memoryBytes is how much of the unpacked bytes of a file is held in memory; more
// goes to a temporary file.
const memoryBytes = 4 << 20

// newView returns the view of a file in which the packed runs are seen through;
// what they hold is unpacked to memory, or to a file in the folder temp. The
// caller closes the view.
func newView(ctx context.Context, r io.ReaderAt, size int64, packs []container.Pack, temp string) (v *view, err error) {
	v = &view{file: r, fileSize: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Close())
		}
	}()
	total := int64(0)
	for i := range packs {
		if _, ok := stripOf(&packs[i]); !ok {
			total += packs[i].Unpacked
		}
	}
	if total > memoryBytes {
		if v.spill, err = os.CreateTemp(temp, "dunlin-delta-*"); err != nil {
			return v, fmt.Errorf("unpack: %w", err)
		}
		// The name goes now, the file when it is closed.
		if err := os.Remove(v.spill.Name()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return v, fmt.Errorf("unpack: %w", err)
		}
	}
	from, spilled := int64(0), int64(0)
	raw := func(to int64) {
		if to > from {
			v.parts = append(v.parts, part{at: v.size, size: to - from, file: from})
			v.size += to - from
		}
	}
	for i := range packs {
		p := &packs[i]
		if err := ctx.Err(); err != nil {
			return v, err
		}
		raw(p.Offset)
		from = p.Offset + p.Length
		next := part{at: v.size, size: p.Unpacked, file: p.Offset, class: codec.ClassOf(p.DType)}
		v.size += p.Unpacked
		if s, ok := stripOf(p); ok {
			next.strip, next.r = s, &stripReader{r, *s}
			v.parts = append(v.parts, next)
			continue
		}
		if v.spill == nil {
			var b bytes.Buffer
			err = p.Unpack(r, &b)
			next.r = bytes.NewReader(b.Bytes())
		} else {
			err = p.Unpack(r, v.spill)
			next.r = io.NewSectionReader(v.spill, spilled, p.Unpacked)
			spilled += p.Unpacked
		}
		if err != nil {
			return v, fmt.Errorf("unpack bytes %d+%d: %w", p.Offset, p.Length, err)
		}
		if p.Unpacked > 0 {
			v.parts = append(v.parts, next)
		}
	}
	raw(size)
	return v, nil
}

// Close gives up the temporary file.
func (v *view) Close() error {
	if v.spill == nil {
		return nil
	}
	return v.spill.Close()
}

// ReadAt reads the bytes of the view at an offset.
func (v *view) ReadAt(p []byte, at int64) (n int, err error) {
	i := sort.Search(len(v.parts), func(i int) bool { return v.parts[i].at+v.parts[i].size > at })
	for ; len(p) > 0; i++ {
		if at < 0 || i >= len(v.parts) {
			return n, io.EOF
		}
		part := &v.parts[i]
		want := p[:min(int64(len(p)), part.at+part.size-at)]
		r, from := part.r, at-part.at
		if r == nil {
			r, from = v.file, part.file+at-part.at
		}
		got, err := r.ReadAt(want, from)
		n += got
		if got < len(want) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		p, at = p[got:], at+int64(got)
	}
	return n, nil
}

// source returns what a format is to be read from to learn the tensors of a
// part, and how its offsets become offsets of the view. The parts that are the
// file's own bytes are read as the whole file, because its format says where
// the tensors lie.
func (p *part) source(v *view) (r io.ReaderAt, size int64, base func(at, length int64) (int64, bool)) {
	if p.r != nil {
		return p.r, p.size, func(at, _ int64) (int64, bool) { return p.at + at, true }
	}
	return v.file, v.fileSize, func(at, length int64) (int64, bool) {
		return p.at + at - p.file, at >= p.file && at+length <= p.file+p.size
	}
}

// readFull reads p at offset at of r, all of it.
func readFull(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
