package chunker

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Size of the cache through which decoders read: headers of models are read
// forward in small steps, with jumps over the weights; a FlatBuffer's tables
// are read here and there.
const (
	pageBytes = 8 << 10
	pageCount = 16
	maxPeek   = 64
	noPage    = -1
)

// source reads a file's structure through a small direct-mapped cache of
// pages, 128 KiB, filled on demand.
type source struct {
	r       io.ReaderAt
	size    int64
	name    string
	stop    func() error // the context's Err
	pages   [pageCount]page
	scratch [maxPeek]byte
}

type page struct {
	number int64 // offset / pageBytes, noPage while empty
	data   []byte
}

func newSource(ctx context.Context, r io.ReaderAt, size int64, name string) (*source, error) {
	if size < 0 || size > manifest.MaxFileBytes {
		return nil, fmt.Errorf("%s: %d bytes, want 0 to %d", name, size, int64(manifest.MaxFileBytes))
	}
	s := &source{r: r, size: size, name: name, stop: ctx.Err}
	for i := range s.pages {
		s.pages[i].number = noPage
	}
	return s, nil
}

// peek returns the n bytes at off, fewer only at the file's end; 0 <= off and
// n is at most maxPeek. They are valid until the next call.
func (s *source) peek(off int64, n int) ([]byte, error) {
	if off >= s.size {
		return nil, nil
	}
	n = int(min(int64(n), s.size-off))
	data, err := s.page(off)
	if err != nil || len(data) >= n {
		return data[:min(n, len(data))], err
	}
	have := copy(s.scratch[:n], data)
	if data, err = s.page(off + int64(have)); err != nil {
		return nil, err
	}
	copy(s.scratch[have:n], data)
	return s.scratch[:n], nil
}

// page returns the bytes from off to the end of its page.
func (s *source) page(off int64) ([]byte, error) {
	number := off / pageBytes
	p := &s.pages[number%pageCount]
	if p.number != number {
		if err := s.fill(p, number); err != nil {
			return nil, err
		}
	}
	return p.data[off%pageBytes:], nil
}

func (s *source) fill(p *page, number int64) error {
	if err := s.stop(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if p.data == nil {
		p.data = make([]byte, pageBytes)
	}
	p.number = noPage
	at := number * pageBytes
	want := int(min(pageBytes, s.size-at))
	n, err := s.r.ReadAt(p.data[:want], at)
	switch {
	case n == want:
		p.data, p.number = p.data[:pageBytes], number
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("%s: ends at byte %d of %d: %w", s.name, at+int64(n), s.size, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%s: at byte %d: %w", s.name, at, err)
}

// malformed returns a [FormatError] about this file.
func (s *source) malformed(format string, at int64, reason string, args ...any) error {
	return &FormatError{Format: format, File: s.name, Offset: at, Reason: fmt.Sprintf(reason, args...)}
}
