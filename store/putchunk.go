package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// PutChunk stores chunk i of the file, whose bytes are compared with its digest
// first; data may be used again when it returns. The chunk is written at its
// place and counts as held once it is durable, soon after or at Flush; PutChunk
// waits while CommitBytes are written and not durable. A chunk held already
// costs nothing. Errors: ErrNotHeld if no release that has the file was begun;
// ErrMismatch if these are not the chunk's bytes; ErrFull, after which the same
// chunk may be put again when there is room. The failure of a commit, which may
// concern chunks put before, is told to whoever waits for it.
func (s *Store) PutChunk(ctx context.Context, id manifest.FileID, i int, data []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	f, err := s.file(id)
	if err != nil {
		return err
	}
	defer s.drop(f)
	if err := f.checkIndex(i); err != nil {
		return err
	}
	offset, n := f.chunks.At(i)
	if len(data) != n || !f.verify(i, data) {
		return fmt.Errorf("store: chunk %d of file %s: %w: %w", i, id, ErrMismatch, manifest.ErrContent)
	}
	inside := false
	for _, c := range f.snapshot() {
		if c.external != "" {
			continue
		}
		inside = true
		if c.hasOrPending(i) {
			continue
		}
		if err := s.putChunk(ctx, f, c, i, int64(offset), data); err != nil {
			return fmt.Errorf("store: chunk %d of file %s: %w", i, id, err)
		}
	}
	if !inside {
		return fmt.Errorf("store: file %s lies outside the store only: %w: begin its release first", id, ErrNotHeld)
	}
	return nil
}

func (s *Store) putChunk(ctx context.Context, f *file, c *fileCopy, i int, offset int64, data []byte) error {
	if err := s.commits.reserve(ctx, len(data)); err != nil {
		return err
	}
	err := s.writeAt(c, data, offset)
	if err != nil {
		s.commits.release(len(data))
		return full(err)
	}
	c.mu.Lock()
	c.pending[i] = true
	c.mu.Unlock()
	s.retain(f)
	s.commits.add(put{f, c, i, len(data)})
	return nil
}

func (s *Store) writeAt(c *fileCopy, data []byte, offset int64) error {
	write := func(file *os.File) error {
		_, err := file.WriteAt(data, offset)
		return err
	}
	err := s.useCopy(c, true, write)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.restoreCopy(c); err == nil {
			err = s.useCopy(c, true, write)
		}
	}
	return err
}

// Flush waits until every chunk put before is durable. Errors: ErrFull if there
// is no room in the index; the chunks stay pending and are tried again at the
// next Flush or PutChunk.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.commits.flush(ctx); err != nil {
		return fmt.Errorf("store: flush: %w", err)
	}
	return nil
}
