package store

import (
	"container/list"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of the file cache, beyond what calls under way use: open files, and
// chunks, each of which costs about 41 bytes.
const (
	cachedFiles  = 64
	cachedChunks = 1 << 18
)

// fileCache keeps one file in memory for each FileID in use, so that there is
// one truth about what is held, and the least recently used ones go first.
// Lock order: mu is taken alone.
type fileCache struct {
	mu     sync.Mutex
	files  map[manifest.FileID]*list.Element // of *file
	order  list.List                         // most recently used first
	chunks int                               // of all files loaded
}

func (fc *fileCache) init() { fc.files = make(map[manifest.FileID]*list.Element) }

// file returns the file of that identity; the caller must drop it. Errors:
// ErrNotHeld if no release that has it was begun, or its blocks are gone.
func (s *Store) file(id manifest.FileID) (*file, error) {
	fc := &s.files
	fc.mu.Lock()
	if e, ok := fc.files[id]; ok {
		f := e.Value.(*file)
		f.refs++
		fc.order.MoveToFront(e)
		fc.mu.Unlock()
		<-f.ready
		if f.err != nil {
			err := f.err
			s.drop(f)
			return nil, err
		}
		return f, nil
	}
	f := &file{id: id, refs: 1, ready: make(chan struct{})}
	fc.files[id] = fc.order.PushFront(f)
	fc.mu.Unlock()

	f.err = s.loadFile(f)
	fc.mu.Lock()
	fc.chunks += f.chunks.Len()
	fc.mu.Unlock()
	close(f.ready)
	if f.err != nil {
		err := f.err
		s.forget(f)
		s.drop(f)
		return nil, err
	}
	return f, nil
}

// drop gives back a file that Store.file returned, and closes what is over the
// bounds.
func (s *Store) drop(f *file) {
	fc := &s.files
	fc.mu.Lock()
	f.refs--
	var closing []*file
	if e, ok := fc.files[f.id]; f.refs == 0 && (!ok || e.Value != f) {
		closing = append(closing, f) // forgotten meanwhile
		fc.chunks -= f.chunks.Len()
	}
	for e := fc.order.Back(); e != nil && (fc.order.Len() > cachedFiles || fc.chunks > cachedChunks); {
		old, next := e.Value.(*file), e.Prev()
		if old.refs == 0 {
			fc.order.Remove(e)
			delete(fc.files, old.id)
			fc.chunks -= old.chunks.Len()
			closing = append(closing, old)
		}
		e = next
	}
	fc.mu.Unlock()
	s.closeFilesOf(closing)
}

func (s *Store) closeFilesOf(files []*file) {
	for _, old := range files {
		for _, c := range old.snapshot() {
			if err := c.closeHandle(); err != nil {
				s.log.Warn("close", slog.String("file", old.id.String()), slog.Any("err", err))
			}
		}
	}
}

// forget takes a file out of the cache: the next one who asks loads it anew.
func (s *Store) forget(f *file) {
	fc := &s.files
	fc.mu.Lock()
	defer fc.mu.Unlock()
	if e, ok := fc.files[f.id]; ok && e.Value == f {
		fc.order.Remove(e)
		delete(fc.files, f.id)
	}
}

// cached returns the file if it is in memory; the caller must drop it.
func (s *Store) cached(id manifest.FileID) (*file, bool) {
	fc := &s.files
	fc.mu.Lock()
	e, ok := fc.files[id]
	if !ok {
		fc.mu.Unlock()
		return nil, false
	}
	f := e.Value.(*file)
	f.refs++
	fc.mu.Unlock()
	<-f.ready
	if f.err != nil {
		s.drop(f)
		return nil, false
	}
	return f, true
}

// closeAll closes everything; no call is under way any more.
func (fc *fileCache) closeAll() {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	for e := fc.order.Front(); e != nil; e = e.Next() {
		for _, c := range e.Value.(*file).snapshot() {
			_ = c.closeHandle() // everything was synced before
		}
	}
	fc.order.Init()
	clear(fc.files)
}

// loadFile reads what f needs from the index and the blocks.
func (s *Store) loadFile(f *file) error {
	// Under edit and bits, so that no copy comes, goes or changes between its
	// being read here and its being found in the cache there.
	s.bits.Lock()
	defer s.bits.Unlock()
	ids, err := s.index.ids(filePrefix(f.id))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if len(ids) == 0 {
		return fmt.Errorf("store: file %s: %w: begin a release that has it first", f.id, ErrNotHeld)
	}
	for _, id := range ids {
		c, err := s.loadCopy(id)
		if errors.Is(err, errNoKey) {
			continue // being removed
		}
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		f.size = c.size
		f.copies = append(f.copies, c)
	}
	if len(f.copies) == 0 {
		return fmt.Errorf("store: file %s: %w: begin a release that has it first", f.id, ErrNotHeld)
	}
	f.chunks, f.digests, err = s.chunksOf(f.id, f.size, s.readBlock)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, c := range f.copies {
		if len(c.held) < len(newBitmap(f.chunks.Len())) {
			return fmt.Errorf("store: copy %d of file %s: %w", c.id, f.id, ErrIndex)
		}
		c.held.trim(f.chunks.Len())
	}
	return nil
}

// loadCopy reads a copy from the index.
func (s *Store) loadCopy(id uint64) (*fileCopy, error) {
	var rec copyRecord
	if err := s.index.record(copyKey(keyCopy, id), &rec); err != nil {
		return nil, err
	}
	c := &fileCopy{
		id: id, size: rec.Size, external: rec.External, names: rec.Names,
		held: newBitmap(int(rec.Chunks)), pending: make(map[int]bool),
	}
	for segment := range len(c.held) / segmentBytes {
		value, err := s.index.get(bitsKey(id, segment))
		if errors.Is(err, errNoKey) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(value) != segmentBytes {
			return nil, fmt.Errorf("copy %d: chunks held: %w", id, ErrIndex)
		}
		copy(c.held.segment(segment), value)
	}
	value, err := s.index.get(copyKey(keyHeld, id))
	if err == nil {
		c.count, err = decodeHeld(value)
	}
	c.owners = s.ownersOf(rec.Names)
	return c, ignore(err, errNoKey)
}

// chunksOf reads where the chunks of a file lie and their digests, through get,
// and checks that the layout fits the size.
func (s *Store) chunksOf(id manifest.FileID, size uint64, get func(manifest.CID) ([]byte, error)) (manifest.Chunks, []manifest.Digest, error) {
	data, err := get(id.Layout)
	if err != nil {
		return manifest.Chunks{}, nil, err
	}
	var layout manifest.Layout
	if err := manifest.Decode(data, &layout); err != nil {
		return manifest.Chunks{}, nil, fmt.Errorf("layout %s: %w: %w", id.Layout, ErrMismatch, err)
	}
	if layout.Size != size {
		return manifest.Chunks{}, nil, fmt.Errorf("layout %s is of %d bytes, the file has %d: %w", id.Layout, layout.Size, size, ErrMismatch)
	}
	chunks := layout.Chunks()
	digests, err := manifest.LoadDigests(id.Digests, chunks.Len(), get)
	if errors.Is(err, manifest.ErrFormat) {
		err = fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return chunks, digests, err
}
