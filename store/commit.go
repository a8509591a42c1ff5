package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/manifest"
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

// committer gathers puts into batches. A batch is whatever came while the one
// before was being committed, so batches are small when little comes and large
// when much does.
type committer struct {
	limit int

	mu       sync.Mutex
	changed  sync.Cond // anything below changed
	pending  []put
	bytes    int    // reserved, pending or being committed
	put      uint64 // puts ever handed in
	done     uint64 // of those, committed or dropped
	failures uint64 // failed commits ever
	err      error  // of the last failed commit
	stalled  bool   // no room: the loop rests until somebody asks again
	closing  bool
}

func (c *committer) init(limit int) {
	c.limit = limit
	c.changed.L = &c.mu
}

// wait waits for a change, which the end of ctx is too if the caller arranged
// for that with wake.
func (c *committer) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// reserve waits until n more bytes may be written. A commit that fails
// meanwhile is the caller's failure too.
func (c *committer) reserve(ctx context.Context, n int) error {
	stop := context.AfterFunc(ctx, c.wake)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	failures := c.failures
	for c.bytes > 0 && c.bytes+n > c.limit {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.failures != failures {
			return c.err
		}
		c.retry()
		c.changed.Wait()
	}
	c.bytes += n
	return nil
}

// retry wakes a loop that rests because there was no room.
func (c *committer) retry() {
	if c.stalled {
		c.stalled = false
		c.changed.Broadcast()
	}
}

// release gives back what reserve gave and was not used.
func (c *committer) release(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= n
	c.changed.Broadcast()
}

// add hands in a put whose bytes were reserved.
func (c *committer) add(p put) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, p)
	c.put++
	c.changed.Broadcast()
}

// next waits for a batch; false when closing and nothing is left to try.
func (c *committer) next() ([]put, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for (len(c.pending) == 0 || c.stalled) && !c.closing {
		c.changed.Wait()
	}
	if len(c.pending) == 0 || c.stalled {
		return nil, false
	}
	n := min(len(c.pending), maxBatch)
	batch := c.pending[:n:n]
	c.pending = c.pending[n:]
	return batch, true
}

// finish notes how the commit of a batch ended. Without room the batch waits
// for it; after any other failure its chunks are missing as before.
func (c *committer) finish(batch []put, err error) (dropped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Broadcast()
	if err != nil {
		c.failures++
		c.err = err
	}
	if errors.Is(err, errRest) {
		c.pending = append(batch, c.pending...)
		c.stalled = true
		return false
	}
	for _, p := range batch {
		c.bytes -= p.bytes
	}
	c.done += uint64(len(batch))
	return true
}

// flush waits until what was handed in so far is committed.
func (c *committer) flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.wake)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	target, failures := c.put, c.failures
	for c.done < target && c.failures == failures {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.retry()
		c.changed.Wait()
	}
	if c.failures != failures {
		return c.err
	}
	return nil
}

// close ends the loop after one more try at what is pending.
func (c *committer) close() error {
	err := c.flush(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.changed.Broadcast()
	return err
}

// errRest says that a batch was written and synced, but that there is no room
// to note it in the index.
var errRest = errors.New("index cannot grow")

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

// commitLoop commits batches until Close.
func (s *Store) commitLoop() {
	for {
		batch, ok := s.commits.next()
		if !ok {
			return
		}
		err := s.commit(batch)
		if err != nil {
			s.log.Warn("commit failed", "chunks", len(batch), "err", err)
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
		s.log.Warn("make a complete file read-only", "file", f.id.String(), "err", err)
	}
}

// retain takes one more reference to a file that the caller has one to.
func (s *Store) retain(f *file) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	f.refs++
}
