package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// MaxPacks is how many packs Find returns at most; what comes behind is left
// packed.
const MaxPacks = 1 << 16

// Bounds of a search.
const (
	headBytes   = 64 << 10 // read to recognise a file
	scanBytes   = 1 << 20
	minDeflated = 512 // unpacked bytes from which a run is worth a pack
	minLEB      = 64  // packed ones

	// All attempts on a file together may unpack so much: 16 times the file,
	// and 64 MiB so that small files of zeros do. Trained weights shrink to
	// nine tenths, quantized or pruned ones to a third; a deflate bomb grows
	// a thousand times.
	budgetRatio = 16
	budgetBytes = 64 << 20
)

// errSpent ends a search whose budget is used up.
var errSpent = errors.New("search has spent its budget")

// Find returns the packed runs of the file of size bytes in r, in order of
// offset and disjoint; only runs that have been unpacked and repacked, and came
// out bit for bit. A file of no known container costs one read of 64 KiB; of
// the others, every run is unpacked and packed again, a few times where the
// recipe must be guessed.
//
// Contents cannot make it fail: what is damaged, hostile, encrypted, unknown
// or over budget is not in the list. The error is that of r, wrapped, or the
// context's. The same bytes give the same list on every machine.
func Find(ctx context.Context, r io.ReaderAt, size int64) ([]Pack, error) {
	head := make([]byte, max(0, min(size, headBytes)))
	s := &search{ctx: ctx, r: r, size: size, budget: budgetBytes + budgetRatio*min(size, 1<<50)}
	if err := s.readAt(head, 0); err != nil {
		return nil, fmt.Errorf("find packed runs: %w", err)
	}
	var err error
	switch {
	case bytes.HasPrefix(head, []byte(zipLocalMagic)):
		err = s.zip()
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		err = s.gzip()
	case bytes.HasPrefix(head, []byte(hdfMagic)):
		err = s.zlibAnywhere()
	case zlibHeader(head):
		_, err = s.zlib(0)
	case bytes.Contains(head, []byte(lebMagic)):
		err = s.leb128()
	}
	if err != nil && !errors.Is(err, errSpent) {
		return nil, fmt.Errorf("find packed runs: %w", err)
	}
	return s.packs, nil
}

// search is one call of Find.
type search struct {
	ctx    context.Context //nolint:containedctx // lives as long as the call that it belongs to
	r      io.ReaderAt
	size   int64
	budget int64 // bytes that may still be unpacked
	packs  []Pack
	prover prover
	buf    [pieceBytes]byte // of comparer
}

// add puts a pack behind the others.
func (s *search) add(p Pack) error {
	if len(s.packs) == MaxPacks {
		return errSpent
	}
	s.packs = append(s.packs, p)
	return nil
}

// spend takes n unpacked bytes from the budget.
func (s *search) spend(n int64) error {
	if s.budget -= n; s.budget < 0 {
		return errSpent
	}
	return s.ctx.Err()
}

// readAt fills p with the file's bytes at offset, which must be there.
func (s *search) readAt(p []byte, offset int64) error {
	if len(p) == 0 {
		return s.ctx.Err()
	}
	if n, err := s.r.ReadAt(p, offset); n < len(p) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read bytes %d+%d: %w", offset, len(p), err)
	}
	return s.ctx.Err()
}

// scan calls at for each place of the file where pattern stands, in order, with
// what follows: need bytes, the pattern's included, or as many as the file has.
// It goes on from the offset that at returns, which must be higher.
func (s *search) scan(pattern string, need int, at func(offset int64, b []byte) (next int64, err error)) error {
	buf := make([]byte, min(s.size, scanBytes))
	for base := int64(0); base+int64(len(pattern)) <= s.size; {
		piece := buf[:min(int64(len(buf)), s.size-base)]
		if err := s.readAt(piece, base); err != nil {
			return err
		}
		last := base+int64(len(piece)) == s.size
		next := base
		for next < base+int64(len(piece)) {
			i := bytes.Index(piece[next-base:], []byte(pattern))
			if i < 0 {
				next = base + int64(len(piece)-len(pattern)) + 1
				break
			}
			next += int64(i)
			b := piece[next-base:]
			if len(b) < need && !last {
				break
			}
			var err error
			if next, err = at(next, b[:min(need, len(b))]); err != nil {
				return err
			}
		}
		base = next
	}
	return nil
}
