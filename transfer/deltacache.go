package transfer

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names in the folder of deltas: a key's name with one of these.
const (
	deltaWhole  = ".delta" // complete, to be passed on
	deltaPartly = ".part"  // what came of one, to be gone on with
	deltaTemp   = ".tmp"   // being coded here; worthless after a restart
)

// errDeltaRoom says that the folder of deltas has no room for more.
var errDeltaRoom = errors.New("no room for a delta")

// deltaCache keeps deltas in a folder, least recently used out first, parts of
// deltas last. Safe for concurrent use; one process uses the folder.
type deltaCache struct {
	root *os.Root
	most int64
	ask  func() (int64, error) // for spare room on the disk; may be nil
	log  *slog.Logger

	mu    sync.Mutex
	files map[string]*deltaFile // by name of the file
	open  map[string]*growth    // in use, by name of the key
	total int64
}

// deltaFile is a file in the folder; deltaCache.mu guards it.
type deltaFile struct {
	bytes int64
	used  time.Time
	busy  int // growths that use it
}

// openDeltaCache opens the folder dir, which is made if need be, takes out what
// a crash left half made, and keeps at most most bytes there, within what spare
// says that the disk has.
func openDeltaCache(dir string, most int64, spare func() (int64, error), log *slog.Logger) (*deltaCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of deltas: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of deltas: %w", err)
	}
	c := &deltaCache{root: root, most: most, ask: spare, log: log, files: map[string]*deltaFile{}, open: map[string]*growth{}}
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("folder of deltas: %w", err), root.Close())
	}
	return c, nil
}

func (c *deltaCache) load() error {
	entries, err := fs.ReadDir(c.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		ours := strings.HasSuffix(e.Name(), deltaWhole) || strings.HasSuffix(e.Name(), deltaPartly)
		if !ours || !info.Mode().IsRegular() {
			if strings.HasSuffix(e.Name(), deltaTemp) {
				if err := c.root.Remove(e.Name()); err != nil {
					return err
				}
			}
			continue
		}
		c.files[e.Name()] = &deltaFile{bytes: info.Size(), used: info.ModTime()}
		c.total += info.Size()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.makeRoom(0)
}

// makeRoom removes what was used longest ago until need more bytes fit. The
// caller holds mu.
func (c *deltaCache) makeRoom(need int64) error {
	if c.total+need <= c.most {
		return nil
	}
	type candidate struct {
		name string
		file *deltaFile
	}
	var all []candidate
	for name, f := range c.files {
		if f.busy == 0 {
			all = append(all, candidate{name, f})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(path.Ext(a.name), path.Ext(b.name)), // .delta before .part
			a.file.used.Compare(b.file.used), cmp.Compare(a.name, b.name))
	})
	for _, v := range all {
		if c.total+need <= c.most {
			return nil
		}
		if err := c.remove(v.name); err != nil {
			return err
		}
	}
	if c.total+need > c.most {
		return fmt.Errorf("%w: %d bytes beyond %d of %d", errDeltaRoom, need, c.total, c.most)
	}
	return nil
}

// remove takes a file away; the caller holds mu.
func (c *deltaCache) remove(name string) error {
	if err := c.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f := c.files[name]; f != nil {
		c.total -= f.bytes
		delete(c.files, name)
	}
	return nil
}

// grow counts n more bytes of a file, having made room for them.
func (c *deltaCache) grow(f *deltaFile, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.makeRoom(n); err != nil {
		return err
	}
	f.bytes += n
	c.total += n
	return nil
}

// spareEvery is how many bytes are written between two looks at the disk.
const spareEvery = 8 << 20

// spare says whether the disk has room for the next spareEvery bytes.
func (c *deltaCache) spare() error {
	if c.ask == nil {
		return nil
	}
	switch spare, err := c.ask(); {
	case err != nil:
		return fmt.Errorf("%w: free space unknown: %w", errDeltaRoom, err)
	case spare < spareEvery:
		return fmt.Errorf("%w: the disk has %d bytes to spare, %d are to be left for others", errDeltaRoom, spare, spareEvery)
	}
	return nil
}

// bytes returns what the deltas take.
func (c *deltaCache) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// size returns the bytes of a whole delta, 0 if there is none, and whether one
// is being coded here.
func (c *deltaCache) size(k deltaKey) (bytes int64, coding bool) {
	name := k.name()
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.files[name+deltaWhole]; f != nil {
		bytes = max(f.bytes-deltaHead, 0)
	}
	g := c.open[name]
	return bytes, g != nil && g.made && !g.kept
}

// parted says whether there is a part of a delta.
func (c *deltaCache) parted(k deltaKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files[k.name()+deltaPartly] != nil
}

// partBytes returns how much of a delta is here from a transfer that was cut
// off, and is gone on with.
func (c *deltaCache) partBytes(k deltaKey) (bytes int64) {
	c.mu.Lock()
	f := c.files[k.name()+deltaPartly]
	here := int64(0)
	if f != nil {
		here = f.bytes - deltaHead
	}
	c.mu.Unlock()
	if here <= 0 {
		return 0
	}
	file, err := c.root.Open(k.name() + deltaPartly)
	if err != nil {
		return 0 // it has just been completed, or thrown away
	}
	defer file.Close()
	var head [deltaHead]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return 0
	}
	for i := range 2 {
		m := head[i*deltaMarkBytes:]
		if n := binary.BigEndian.Uint64(m[8:]); string(m[:8]) == deltaMagic && n <= uint64(here) {
			bytes = max(bytes, int64(n))
		}
	}
	return bytes
}

// forget removes a delta that proved useless, unless it is in use.
func (c *deltaCache) forget(k deltaKey) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := k.name() + deltaWhole
	if f := c.files[name]; f == nil || f.busy > 0 {
		return nil
	}
	return c.remove(name)
}

// close closes the folder; everything in it is closed by then.
func (c *deltaCache) close() error { return c.root.Close() }
