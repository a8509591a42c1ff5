package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Held returns the durable chunks of the file, in any release. Errors:
// ErrNotHeld if no release that has the file was begun, or the blocks that
// describe it are gone.
func (s *Store) Held(id manifest.FileID) (manifest.Ranges, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	f, err := s.file(id)
	if err != nil {
		return nil, err
	}
	defer s.drop(f)
	return f.held(), nil
}

// Chunk reads chunk i of the file into buf, which is replaced if it is too
// short, and returns the part that holds the chunk. The bytes were compared
// with their digest after they were read. Errors: ErrNotHeld; ErrCorrupt if the
// chunk was held and rotted: then it is marked missing and OnCorrupt was
// called; ErrMismatch if the file has no such chunk.
func (s *Store) Chunk(ctx context.Context, id manifest.FileID, i int, buf []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	f, err := s.file(id)
	if err != nil {
		return nil, err
	}
	defer s.drop(f)
	if err := f.checkIndex(i); err != nil {
		return nil, err
	}
	verdict := ErrNotHeld
	for _, c := range f.snapshot() {
		if !c.has(i) {
			continue
		}
		data, err := s.readChunk(f, c, i, buf)
		if err == nil {
			s.useOwners(c)
			return data, nil
		}
		if errors.Is(err, ErrNotHeld) {
			continue // removed meanwhile
		}
		if !errors.Is(err, ErrCorrupt) {
			return nil, fmt.Errorf("store: chunk %d of file %s: %w", i, id, err)
		}
		verdict = ErrCorrupt
		if err := s.markMissing(f, c, i, err); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("store: chunk %d of file %s: %w", i, id, verdict)
}

// useOwners notes that every release that has the copy was read just now.
func (s *Store) useOwners(c *fileCopy) {
	c.mu.Lock()
	owners := c.owners // replaced, never changed
	c.mu.Unlock()
	for _, m := range owners {
		s.use(m)
	}
}

// readChunk reads a chunk that is held and compares. A copy removed meanwhile is
// ErrNotHeld, and so is a chunk that somebody else found rotten.
func (s *Store) readChunk(f *file, c *fileCopy, i int, buf []byte) ([]byte, error) {
	data, err := s.readRaw(f, c, i, buf)
	if err != nil && !c.has(i) {
		return nil, ErrNotHeld
	}
	return data, err
}

// readRaw reads chunk i, held or not, and compares. Whatever says that the bytes
// are gone for good is ErrCorrupt.
func (s *Store) readRaw(f *file, c *fileCopy, i int, buf []byte) ([]byte, error) {
	offset, n := f.chunks.At(i)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	err := s.useCopy(c, false, func(file *os.File) error {
		_, err := file.ReadAt(buf, int64(offset))
		return err
	})
	switch {
	case err == nil && f.verify(i, buf):
		return buf, nil
	case err == nil:
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, manifest.ErrContent)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), rotten(err),
		errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil, err
}

// markMissing takes chunk i of a copy out of the index and tells about it.
func (s *Store) markMissing(f *file, c *fileCopy, i int, why error) error {
	s.bits.Lock()
	marked, err := s.clearBits(f, c, i, i+1)
	s.bits.Unlock()
	if err != nil {
		return fmt.Errorf("store: mark chunk %d of file %s missing: %w", i, f.id, err)
	}
	if !marked {
		return nil // somebody else did
	}
	name := c.external
	if name == "" {
		c.mu.Lock()
		if len(c.names) > 0 {
			name = c.names[0]
		}
		c.mu.Unlock()
	}
	s.log.Warn("a chunk rotted and is missing again", slog.String("file", name), slog.Int("chunk", i), slog.Any("err", why))
	if s.cfg.OnCorrupt != nil {
		s.cfg.OnCorrupt(f.id, i)
	}
	return nil
}

// clearBits marks the chunks from to to missing; false if none was held.
// Callers hold bits.
func (s *Store) clearBits(f *file, c *fileCopy, from, to int) (bool, error) {
	c.mu.Lock()
	held, count := append(bitmap(nil), c.held...), c.count
	removed := c.removed
	c.mu.Unlock()
	if removed {
		return false, nil
	}
	segments := make(map[int]bool)
	for i := from; i < to; i++ {
		if held.has(i) {
			_, n := f.chunks.At(i)
			held.clear(i)
			count.chunks--
			count.bytes -= uint64(n)
			segments[i/segmentChunks] = true
		}
	}
	if len(segments) == 0 {
		return false, nil
	}
	if err := s.index.update(func(e edit) error { return e.setHeld(c.id, held, count, segments) }); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.count = held, count
	return true, nil
}

// setHeld writes those segments of a copy's bitmap, and its count.
func (e edit) setHeld(id uint64, held bitmap, count heldCount, segments map[int]bool) error {
	for n := range segments {
		if err := e.set(bitsKey(id, n), append([]byte(nil), held.segment(n)...)); err != nil {
			return err
		}
	}
	return e.set(copyKey(keyHeld, id), count.encode())
}
