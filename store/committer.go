package store

import (
	"context"
	"errors"
	"sync"
)

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

// wake makes whoever waits look again, at its context for one.
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
