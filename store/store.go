package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Folders and files of a store, relative to its Dir.
const (
	lockName    = "lock"
	indexDir    = "index"
	blocksDir   = "blocks"
	modelsDir   = "models"
	wantsDir    = "wants"
	stagingDir  = "staging"
	trashDir    = "trash"
	releaseName = ".release" // in a release's folder
)

// Store is an open store. All methods may be called at the same time. A call
// that reads or writes much takes a context and stops soon after its end;
// Close waits for calls that are under way.
//
// Locks, each taken before those below it, none held while OnCorrupt runs:
//
//	sweep  one GC of blocks at a time
//	edit   which releases, copies and names there are, on disk and in the index
//	blocks removal of blocks against their being put or counted on
//	bits   which chunks are held, in the index and in memory
//	mu     maps in memory; never held over input or output
type Store struct {
	cfg   Config
	log   *slog.Logger
	dir   folder
	lock  *os.File
	index index

	sweep    sync.Mutex
	edit     sync.Mutex
	blocks   sync.Mutex
	bits     sync.Mutex
	nextID   uint64          // of a copy; edit
	sweeping map[string]bool // blocks; files touched since GC began to look, nil without one

	mu       sync.Mutex
	closed   bool
	calls    sync.WaitGroup // calls under way; grows only under mu while not closed
	releases map[manifest.CID]*release
	folders  map[string]manifest.CID // of releases, by folder
	wants    map[manifest.CID]Release
	busy     map[manifest.CID]int // releases that calls under way work on
	files    fileCache

	manifests manifests // has its own lock, below all of these

	commits  committer
	loopDone sync.WaitGroup // the commit loop
}

// release is what memory keeps of a release: one for each, so a few hundred
// bytes.
type release struct {
	rec  *releaseRecord // mu; replaced, never changed
	used atomic.Int64   // when it was last read or written, seconds since 1970
}

// Open opens the store in c.Dir, or makes a new one there. It finishes what a
// crash interrupted and empties the staging area. Errors: ErrLocked if another
// process has it open, ErrIndex if its index cannot be used.
func Open(c Config) (*Store, error) {
	s, err := openFiles(c)
	if err != nil {
		return nil, err
	}
	if err := s.openIndex(); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.index.close(), s.closeFiles())
	}
	s.start()
	return s, nil
}

// openFiles does what needs no index: check, lock, make folders, clean up.
func openFiles(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	full, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := durable.MkdirAll(full, dirPerm); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	root, err := os.OpenRoot(full)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{
		cfg: c, log: c.Logger, dir: folder{root, full},
		releases: make(map[manifest.CID]*release),
		folders:  make(map[string]manifest.CID),
		wants:    make(map[manifest.CID]Release),
		busy:     make(map[manifest.CID]int),
	}
	s.files.init()
	s.commits.init(c.CommitBytes)
	if err := s.openFolders(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), s.closeFiles())
	}
	return s, nil
}

func (s *Store) openFolders() (err error) {
	if info, err := s.dir.root.Lstat(lockName); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no plain file: move it away", s.dir.full(lockName))
	}
	s.lock, err = s.dir.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, metaPerm)
	if err != nil {
		return err
	}
	if ok, err := lockFile(s.lock); err != nil {
		return fmt.Errorf("lock %s: %w", s.lock.Name(), err)
	} else if !ok {
		return fmt.Errorf("%s: %w: stop the other process first (`dunlin up` has the store open while it runs)", s.dir.path, ErrLocked)
	}
	for _, name := range []string{indexDir, blocksDir, modelsDir, wantsDir, stagingDir, trashDir} {
		if err := s.dir.mkdirs(name); err != nil {
			return err
		}
	}
	for _, name := range []string{stagingDir, trashDir} {
		n, err := s.dir.empty(name)
		if err != nil {
			return err
		}
		if n > 0 {
			s.log.Info("removed leftovers", slog.String("folder", name), slog.Int("entries", n))
		}
	}
	return nil
}

// openIndex opens the index and checks that it is whole: a new one is ready at
// once only where there is nothing that it should know.
func (s *Store) openIndex() (err error) {
	if s.index, err = openIndex(s.dir.full(indexDir), s.log); err != nil {
		return err
	}
	state, err := s.index.get([]byte{keyMeta})
	switch {
	case errors.Is(err, errNoKey):
		models, err := s.dir.list(modelsDir)
		if err == nil && len(models) > 0 {
			err = fmt.Errorf("store: %s has files that the index does not know: %w", s.dir.full(modelsDir), ErrIndex)
		}
		if err == nil {
			err = s.index.update(func(e edit) error { return e.set([]byte{keyMeta}, []byte{stateReady}) })
		}
		if err != nil {
			return errors.Join(err, s.index.close())
		}
		return nil
	case err != nil:
	case len(state) == 1 && state[0] == stateReady:
		return nil
	default:
		err = fmt.Errorf("store: the last rebuild did not finish: %w", ErrIndex)
	}
	return errors.Join(err, s.index.close())
}

// start begins the one goroutine there is.
func (s *Store) start() { s.loopDone.Go(s.commitLoop) }

// Close waits for calls under way, makes everything durable and closes the
// store. Calls that come later fail with ErrClosed. Closing twice is harmless.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	if again {
		return nil
	}
	err := s.commits.close()
	s.loopDone.Wait()
	err = errors.Join(err, s.saveUsed())
	s.files.closeAll()
	return errors.Join(err, s.index.close(), s.closeFiles())
}

func (s *Store) closeFiles() error {
	var err error
	if s.lock != nil {
		err = s.lock.Close()
	}
	return errors.Join(err, s.dir.root.Close())
}

// enter begins a call; leave must follow unless it fails with ErrClosed.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("store: %w", ErrClosed)
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// hold keeps a release from being removed until the returned function runs.
func (s *Store) hold(m manifest.CID) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[m]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.busy[m]--; s.busy[m] == 0 {
			delete(s.busy, m)
		}
	}
}

// release returns the record of a release; it is not to be changed.
func (s *Store) release(m manifest.CID) (*releaseRecord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.releases[m]
	if !ok {
		return nil, false
	}
	return r.rec, true
}

// use notes that the release m was read or written just now.
func (s *Store) use(m manifest.CID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.releases[m]; ok {
		r.used.Store(s.cfg.Now().Unix())
	}
}

// saveUsed writes down when releases were last used. A crash loses that since
// the last Close, which makes them look older than they are and no more.
func (s *Store) saveUsed() error {
	s.mu.Lock()
	used := make(map[manifest.CID]int64, len(s.releases))
	for m, r := range s.releases {
		used[m] = r.used.Load()
	}
	s.mu.Unlock()
	return s.index.bulk(func(set func(k, v []byte) error, _ func([]byte) error) error {
		for m, t := range used {
			if err := set(releaseKey(keyUsed, m), uint64Bytes(uint64(t))); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeRelease makes rec durable, first in its folder, then in the index: if
// the index is lost in between, the folder says more than the index did.
// Callers hold edit.
func (s *Store) writeRelease(rec *releaseRecord) error {
	block, err := manifest.Encode(rec)
	if err != nil {
		return err
	}
	if err := s.dir.mkdirs(rec.Dir); err != nil {
		return err
	}
	if err := s.dir.put(path.Join(rec.Dir, releaseName), block.Data, metaPerm, true); err != nil {
		return err
	}
	m := rec.Release.Manifest
	err = s.index.update(func(e edit) error { return e.set(releaseKey(keyRelease, m), block.Data) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.releases[m]
	if !ok {
		r = &release{}
		s.releases[m] = r
	}
	r.rec = rec
	s.folders[rec.Dir] = m
	r.used.Store(s.cfg.Now().Unix())
	return nil
}

// isRegular says whether name is a plain file of ours.
func (s *Store) isRegular(name string) (fs.FileInfo, bool) {
	info, err := s.dir.root.Lstat(name)
	return info, err == nil && info.Mode().IsRegular()
}
