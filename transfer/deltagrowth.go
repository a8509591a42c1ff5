package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// A file of the cache begins with two marks, of which the one counts that names
// more bytes and is true of them; then comes the delta.
//
//	mark: "dunlin\xd1\x01", bytes as uint64 big-endian, sha256 of so many bytes
//
// They are written in turn, each after the bytes that it names were synced, so
// that a crash leaves one that is true.
const (
	deltaMagic     = "dunlin\xd1\x01"
	deltaMarkBytes = 8 + 8 + sha256.Size
	deltaHead      = 2 * deltaMarkBytes
)

// syncEvery is how many bytes, syncAfter how long, a crash may cost.
const (
	syncEvery = 128 << 10
	syncAfter = time.Second
)

// growth is a delta in the cache that somebody uses: complete, being coded here
// or arriving. One goroutine writes; any number read and wait for more.
type growth struct {
	cache *deltaCache
	key   string // name of
	made  bool   // coded here: others may read while it grows
	file  *os.File
	entry *deltaFile
	name  string // of the file; cache.mu once it is shared

	refs int           // cache.mu
	kept bool          // cache.mu; complete and in the cache for good
	idle *time.Timer   // cache.mu; runs while nobody waits for what is coded here
	rest time.Duration // of idle

	hash   hash.Hash // of the writer
	marks  int       // likewise
	synced int64     // likewise
	last   time.Time // likewise
	room   int64     // likewise; bytes until the disk is looked at

	mu    sync.Mutex
	bytes int64
	sum   manifest.Digest // of a complete one
	done  bool            // nothing more comes
	err   error           // why it ended before its end
	wake  chan struct{}   // closed and replaced when one of these changes
}

func (c *deltaCache) newGrowth(key, suffix string, file *os.File) *growth {
	name := key + suffix
	entry := c.files[name]
	if entry == nil {
		entry = &deltaFile{}
		c.files[name] = entry
	}
	entry.used = time.Now()
	entry.busy++
	g := &growth{
		cache: c, key: key, name: name, file: file, entry: entry, refs: 1,
		hash: sha256.New(), last: time.Now(), wake: make(chan struct{}),
	}
	c.open[key] = g
	return g
}

// whole opens a complete delta, nil if there is none that is sound. The caller
// calls release.
func (c *deltaCache) whole(k deltaKey) *growth {
	key := k.name()
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.open[key]; g != nil {
		if !g.kept {
			return nil
		}
		g.refs++
		return g
	}
	name := key + deltaWhole
	if c.files[name] == nil {
		return nil
	}
	file, err := c.root.Open(name)
	if err == nil {
		g := c.newGrowth(key, deltaWhole, file)
		if err = g.recover(); err == nil {
			g.kept, g.done, g.sum = true, true, manifest.Digest(g.hash.Sum(nil))
			if err := c.root.Chtimes(name, time.Time{}, g.entry.used); err != nil {
				c.log.Debug("use of a delta is not noted", slog.Any("error", err))
			}
			return g
		}
		delete(c.open, key)
		g.entry.busy--
		err = errors.Join(err, file.Close())
	}
	c.log.Warn("a cached delta is unsound and is dropped", slog.String("delta", name), slog.Any("error", errors.Join(err, c.remove(name))))
	return nil
}

// recover finds the mark that counts and hashes what it names.
func (g *growth) recover() error {
	head := make([]byte, deltaHead)
	if _, err := g.file.ReadAt(head, 0); err != nil {
		return err
	}
	type mark struct {
		slot  int
		bytes int64
		sum   [sha256.Size]byte
	}
	var marks []mark
	for i := range 2 {
		m := head[i*deltaMarkBytes:][:deltaMarkBytes]
		if n := binary.BigEndian.Uint64(m[8:]); string(m[:8]) == deltaMagic && n <= maxDeltaBytes {
			marks = append(marks, mark{i, int64(n), [sha256.Size]byte(m[16:])})
		}
	}
	if len(marks) == 2 && marks[1].bytes > marks[0].bytes {
		marks[0], marks[1] = marks[1], marks[0]
	}
	for _, m := range marks {
		h := sha256.New()
		n, err := io.Copy(h, io.NewSectionReader(g.file, deltaHead, m.bytes))
		if err != nil {
			return err
		}
		if n == m.bytes && [sha256.Size]byte(h.Sum(nil)) == m.sum {
			g.hash, g.bytes, g.synced, g.marks = h, n, n, m.slot+1
			return nil
		}
	}
	return errors.New("no mark is true")
}

// begin makes a growth to write to: what is coded here, or a part, of which the
// synced bytes are there again. Nil if somebody else has it open. The caller
// calls finish or fail, and release.
func (c *deltaCache) begin(k deltaKey, suffix string) (*growth, error) {
	key := k.name()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key] != nil {
		return nil, nil
	}
	file, err := c.root.OpenFile(key+suffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("delta: %w", err)
	}
	g := c.newGrowth(key, suffix, file)
	g.made = suffix == deltaTemp
	if suffix == deltaPartly && g.recover() == nil {
		before := g.entry.bytes
		g.entry.bytes = deltaHead + g.bytes
		c.total += g.entry.bytes - before
		err = file.Truncate(g.entry.bytes) // what was not synced
	} else {
		g.hash, g.bytes, g.synced = sha256.New(), 0, 0
		c.total += deltaHead - g.entry.bytes
		g.entry.bytes = deltaHead
		if err = file.Truncate(0); err == nil {
			err = file.Truncate(deltaHead)
		}
		if err == nil && suffix == deltaPartly {
			err = c.syncFolder()
		}
	}
	if err != nil {
		g.entry.busy--
		delete(c.open, key)
		return nil, errors.Join(fmt.Errorf("delta: %w", err), file.Close(), c.remove(g.name))
	}
	return g, nil
}

// syncFolder makes new names durable, where the system can.
func (c *deltaCache) syncFolder() error {
	dir, err := c.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	_ = dir.Sync() // not every system has it; a lost name costs the part
	return nil
}

// Write appends; the error wraps errDeltaRoom if there is no room.
func (g *growth) Write(p []byte) (int, error) {
	if g.room -= int64(len(p)); g.room < 0 {
		if err := g.cache.spare(); err != nil {
			return 0, err
		}
		g.room = spareEvery - int64(len(p))
	}
	if err := g.cache.grow(g.entry, int64(len(p))); err != nil {
		return 0, err
	}
	g.mu.Lock()
	at := g.bytes
	g.mu.Unlock()
	if _, err := g.file.WriteAt(p, deltaHead+at); err != nil {
		return 0, fmt.Errorf("delta: %w", err)
	}
	g.hash.Write(p)
	g.change(func() { g.bytes += int64(len(p)) })
	if now := time.Now(); !g.made && (at+int64(len(p))-g.synced >= syncEvery || now.Sub(g.last) >= syncAfter) {
		return len(p), g.sync()
	}
	return len(p), nil
}

// sync makes durable what was written, and then that it is there.
func (g *growth) sync() error {
	if g.marks > 0 && g.bytes == g.synced {
		return nil
	}
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("delta: %w", err)
	}
	m := append([]byte(deltaMagic), binary.BigEndian.AppendUint64(nil, uint64(g.bytes))...)
	if _, err := g.file.WriteAt(g.hash.Sum(m), int64(g.marks%2)*deltaMarkBytes); err != nil {
		return fmt.Errorf("delta: %w", err)
	}
	g.marks++
	g.synced, g.last = g.bytes, time.Now()
	return nil
}

// restart throws away what is there.
func (g *growth) restart() error {
	g.cache.mu.Lock()
	g.cache.total -= g.entry.bytes - deltaHead
	g.entry.bytes = deltaHead
	g.cache.mu.Unlock()
	g.hash, g.synced, g.marks = sha256.New(), 0, 0
	g.change(func() { g.bytes = 0 })
	if err := g.file.Truncate(0); err != nil {
		return fmt.Errorf("delta: %w", err)
	}
	if err := g.file.Truncate(deltaHead); err != nil {
		return fmt.Errorf("delta: %w", err)
	}
	return nil
}

// complete says that nothing more comes; readers see the end.
func (g *growth) complete() {
	sum := manifest.Digest(g.hash.Sum(nil))
	g.change(func() { g.done, g.sum = true, sum })
}

// keep makes a complete delta one of the cache's.
func (g *growth) keep() error {
	err := g.sync()
	if err == nil {
		err = g.file.Sync()
	}
	if err != nil {
		return err
	}
	c := g.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.root.Rename(g.name, g.key+deltaWhole); err != nil {
		return fmt.Errorf("delta: %w", err)
	}
	delete(c.files, g.name)
	g.name, g.kept = g.key+deltaWhole, true
	c.files[g.name] = g.entry
	return c.syncFolder()
}

// fail ends what did not come to its end. What is lost on it stays as a part if
// keep is set, and is removed otherwise.
func (g *growth) fail(why error, keep bool) error {
	var err error
	if keep {
		err = errors.Join(g.sync(), g.file.Sync())
	}
	g.change(func() { g.done, g.err = true, why })
	c := g.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, g.key) // whoever comes now begins anew
	if !keep {
		err = errors.Join(err, c.remove(g.name))
	}
	return err
}

func (g *growth) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.wake)
	g.wake = make(chan struct{})
}

// join returns a delta that is being coded, nil if it is not. The caller calls
// release.
func (c *deltaCache) join(k deltaKey) *growth {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.open[k.name()]
	if g == nil || !g.made {
		return nil
	}
	g.refs++
	if g.idle != nil {
		g.idle.Stop()
	}
	return g
}

// arriving returns a delta that comes from another peer and is not complete
// yet, nil if there is none. The caller calls release.
func (c *deltaCache) arriving(k deltaKey) *growth {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.open[k.name()]
	if g == nil || g.made || g.kept {
		return nil
	}
	g.refs++
	return g
}

// watch calls stop once nobody but the coder uses g for so long.
func (c *deltaCache) watch(g *growth, stop func(), after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.refs++ // the coder's
	g.idle = time.AfterFunc(after, func() {
		c.mu.Lock()
		alone := g.refs <= 1
		c.mu.Unlock()
		if alone {
			stop()
		}
	})
	g.idle.Stop()
	g.rest = after
}

// release ends a use; the last one closes the file.
func (g *growth) release() {
	c := g.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	g.refs--
	if g.refs > 0 {
		if g.refs == 1 && g.idle != nil && !g.kept {
			g.idle.Reset(g.rest)
		}
		return
	}
	if g.idle != nil {
		g.idle.Stop()
	}
	g.entry.busy--
	if c.open[g.key] == g {
		delete(c.open, g.key)
	}
	if err := g.file.Close(); err != nil {
		c.log.Debug("delta is not closed", slog.Any("error", err))
	}
}
