package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"
)

// maxBatch is how many chunks one commit takes at most, so that its index
// transaction fits into Badger's limits.
const maxBatch = 256

// put is a chunk that was written to its place and is not durable yet.
type put struct {
	file  *file // referenced until it is committed
	copy  *fileCopy
	chunk int
	bytes int
}

// commitLoop commits batches until Close.
func (s *Store) commitLoop() {
	for {
		batch, ok := s.commits.next()
		if !ok {
			return
		}
		err := s.commit(batch)
		if err != nil {
			s.log.Warn("commit failed", slog.Int("chunks", len(batch)), slog.Any("err", err))
		}
		if s.commits.finish(batch, err) {
			for _, p := range batch {
				p.copy.mu.Lock()
				delete(p.copy.pending, p.chunk)
				p.copy.mu.Unlock()
				s.drop(p.file)
			}
		}
	}
}

// commit makes a batch durable: data first, index after.
//
//	crash before the sync:   the index does not know the chunks; they are missing
//	crash after the sync:    as before
//	crash in the index:      Badger has the transaction whole or not at all
func (s *Store) commit(batch []put) error {
	byCopy := make(map[*fileCopy][]put)
	for _, p := range batch {
		byCopy[p.copy] = append(byCopy[p.copy], p)
	}
	var group errgroup.Group
	for c := range byCopy {
		group.Go(func() error {
			err := s.useCopy(c, true, datasync)
			if errors.Is(err, fs.ErrNotExist) && c.gone() {
				return nil // the release was removed meanwhile
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return full(err)
	}
	if err := s.checkFree(0); err != nil {
		return fmt.Errorf("%w: %w", errRest, err)
	}
	if err := s.noteHeld(byCopy); err != nil {
		return err
	}
	for c, puts := range byCopy {
		s.finishCopy(puts[0].file, c)
	}
	return nil
}

// noteHeld writes the new chunks of each copy into the index, in one
// transaction, and then into memory.
func (s *Store) noteHeld(byCopy map[*fileCopy][]put) error {
	type change struct {
		held     bitmap
		count    heldCount
		segments map[int]bool
	}
	s.bits.Lock()
	defer s.bits.Unlock()
	changes := make(map[*fileCopy]change, len(byCopy))
	for c, puts := range byCopy {
		c.mu.Lock()
		ch := change{append(bitmap(nil), c.held...), c.count, make(map[int]bool)}
		removed := c.removed
		c.mu.Unlock()
		if removed {
			continue
		}
		for _, p := range puts {
			if !ch.held.has(p.chunk) {
				ch.held.set(p.chunk)
				ch.count.chunks++
				ch.count.bytes += uint64(p.bytes)
				ch.segments[p.chunk/segmentChunks] = true
			}
		}
		if len(ch.segments) > 0 {
			changes[c] = ch
		}
	}
	if len(changes) == 0 {
		return nil
	}
	err := s.index.update(func(e edit) error {
		for c, ch := range changes {
			if err := e.setHeld(c.id, ch.held, ch.count, ch.segments); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for c, ch := range changes {
		c.mu.Lock()
		c.held, c.count = ch.held, ch.count
		c.mu.Unlock()
	}
	return nil
}

// finishCopy makes a copy that is complete read-only, for its names in several
// releases are one file. That it stays writable after a failure harms nothing.
func (s *Store) finishCopy(f *file, c *fileCopy) {
	c.mu.Lock()
	complete := !c.removed && int(c.count.chunks) == f.chunks.Len()
	c.mu.Unlock()
	if !complete {
		return
	}
	err := s.useCopy(c, false, func(file *os.File) error { return file.Chmod(finishedPerm) })
	if err == nil {
		err = c.closeHandle()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("make a complete file read-only", slog.String("file", f.id.String()), slog.Any("err", err))
	}
}

// retain takes one more reference to a file that the caller has one to.
func (s *Store) retain(f *file) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	f.refs++
}
