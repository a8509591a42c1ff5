package store

import (
	"context"
	"errors"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// findChunks reads a copy's whole file and notes the chunks that are right, for
// a file whose place in the index was lost.
func (s *Store) findChunks(ctx context.Context, id uint64, rec *copyRecord, progress func(int64)) (out found, err error) {
	f, err := s.file(rec.File)
	if err != nil {
		return out, err
	}
	defer s.drop(f)
	for _, c := range f.snapshot() {
		if c.id != id {
			continue
		}
		good, err := s.goodChunks(ctx, f, c, progress)
		if err != nil {
			return out, err
		}
		if len(good) > 0 && c.external == "" { // a crash may have left them in memory only
			if err := s.useCopy(c, false, datasync); err != nil {
				return out, err
			}
		}
		for len(good) > 0 {
			n := min(len(good), maxBatch)
			if err := s.noteHeld(map[*fileCopy][]put{c: good[:n]}); err != nil {
				return out, err
			}
			for _, p := range good[:n] {
				out.chunks++
				out.bytes += int64(p.bytes)
			}
			good = good[n:]
		}
		if c.external == "" {
			s.finishCopy(f, c)
		}
	}
	return out, nil
}

// goodChunks reads every chunk of a copy, held or not, and lists those that have
// their digest.
func (s *Store) goodChunks(ctx context.Context, f *file, c *fileCopy, progress func(int64)) (good []put, err error) {
	buf := make([]byte, manifest.MaxChunkBytes)
	for i := range f.chunks.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		_, n := f.chunks.At(i)
		if _, err := s.readRaw(f, c, i, buf); err == nil {
			good = append(good, put{f, c, i, n})
		} else if !errors.Is(err, ErrCorrupt) {
			return nil, err
		}
		if progress != nil {
			progress(int64(n))
		}
	}
	return good, nil
}
