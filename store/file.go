package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// file is what memory keeps of a FileID that is in use: where its chunks lie
// (8 bytes a chunk), their digests (32 bytes a chunk) and its copies.
type file struct {
	id      manifest.FileID
	chunks  manifest.Chunks
	digests []manifest.Digest
	size    uint64

	refs  int           // fileCache.mu
	ready chan struct{} // closed once loaded; then err is set and the above does not change
	err   error

	mu     sync.RWMutex
	copies []*fileCopy // mu; none of them removed
}

// fileCopy is a copy in memory.
type fileCopy struct {
	id       uint64
	size     uint64
	external string // absolute path outside the store, or empty

	mu      sync.Mutex
	owners  []manifest.CID // mu; releases that have it; replaced, never changed
	names   []string       // mu; relative to the store; replaced, never changed
	held    bitmap         // mu, and changed only under Store.bits; durable chunks
	count   heldCount      // as held
	pending map[int]bool   // mu; written, not durable yet
	removed bool           // mu, and changed only under Store.bits

	// handle is held for reading while f is used, and for writing to open,
	// close or replace it; so a removal waits for reads under way.
	handle   sync.RWMutex
	f        *os.File
	writable bool
}

// has says whether chunk i is durable.
func (c *fileCopy) has(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.removed && c.held.has(i)
}

// hasOrPending says whether chunk i is durable or about to be.
func (c *fileCopy) hasOrPending(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed || c.held.has(i) || c.pending[i]
}

// gone says whether the copy was removed with its last release.
func (c *fileCopy) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

// useCopy calls f with the copy's file opened, for writing if asked. It fails with
// fs.ErrNotExist where the file is gone.
func (s *Store) useCopy(c *fileCopy, write bool, f func(*os.File) error) error {
	for {
		c.handle.RLock()
		if c.f != nil && (c.writable || !write) {
			err := f(c.f)
			c.handle.RUnlock()
			return err
		}
		c.handle.RUnlock()
		if err := s.openCopy(c, write); err != nil {
			return err
		}
	}
}

// openCopy opens the copy's file. For writing it makes it as long as it must
// be, and writable.
func (s *Store) openCopy(c *fileCopy, write bool) error {
	c.handle.Lock()
	defer c.handle.Unlock()
	f, err := s.openNames(c, write)
	if err != nil {
		return err
	}
	if c.f != nil {
		err = c.f.Close()
	}
	c.f, c.writable = f, write
	return err
}

// openNames opens whichever of the copy's names is there. Names come and go
// with releases meanwhile, so a failure counts only if they did not.
func (s *Store) openNames(c *fileCopy, write bool) (f *os.File, err error) {
	for {
		c.mu.Lock()
		removed, names := c.removed, c.names // replaced, never changed
		c.mu.Unlock()
		switch {
		case removed || len(names) == 0:
			return nil, fmt.Errorf("file was removed meanwhile: %w", fs.ErrNotExist)
		case c.external != "" && write:
			return nil, fmt.Errorf("%s lies outside the store, which does not write to it: %w", c.external, fs.ErrPermission)
		case c.external != "":
			return openRegular(c.external)
		}
		for _, name := range names {
			if write {
				f, err = s.openForWriting(name, c.size)
			} else {
				f, err = s.dir.open(name, os.O_RDONLY)
			}
			if err == nil || !errors.Is(err, fs.ErrNotExist) {
				return f, err
			}
		}
		c.mu.Lock()
		same := !c.removed && slices.Equal(names, c.names)
		c.mu.Unlock()
		if same {
			return nil, err
		}
	}
}

// openForWriting opens a file of ours, read-only as it may be, and makes it
// size bytes long: chunks that were cut off are missing, but have their place.
func (s *Store) openForWriting(name string, size uint64) (*os.File, error) {
	if info, ok := s.isRegular(name); ok && info.Mode().Perm() != writingPerm {
		if err := s.dir.root.Chmod(name, writingPerm); err != nil {
			return nil, err
		}
	}
	f, err := s.dir.open(name, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && uint64(info.Size()) != size {
		if err = preallocate(f, int64(size)); err == nil {
			err = f.Truncate(int64(size))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openRegular opens a plain file outside the store for reading.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path) // before opening: a FIFO would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a %s, not a plain file: %w", path, info.Mode().Type(), fs.ErrInvalid)
	}
	return os.Open(path)
}

// closeHandle closes the file, after reads under way.
func (c *fileCopy) closeHandle() error {
	c.handle.Lock()
	defer c.handle.Unlock()
	if c.f == nil {
		return nil
	}
	err := c.f.Close()
	c.f, c.writable = nil, false
	return err
}

// snapshot returns the copies as they are now.
func (f *file) snapshot() []*fileCopy {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.copies)
}

// held returns the chunks that some copy holds.
func (f *file) held() manifest.Ranges {
	var out manifest.Ranges
	for _, c := range f.snapshot() {
		c.mu.Lock()
		if !c.removed {
			out = out.Union(c.held.ranges())
		}
		c.mu.Unlock()
	}
	return out
}

// verify compares data with the digest of chunk i.
func (f *file) verify(i int, data []byte) bool {
	return manifest.SumDigest(data) == f.digests[i]
}

// checkIndex refuses what is no chunk of f.
func (f *file) checkIndex(i int) error {
	if i < 0 || i >= f.chunks.Len() {
		return fmt.Errorf("store: chunk %d of file %s, which has %d: %w", i, f.id, f.chunks.Len(), ErrMismatch)
	}
	return nil
}
