package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Staged is what Stage made ready. It belongs to one goroutine at a time.
type Staged struct {
	// Files in order of Path. Lay out and hash these, not the originals: they
	// are what Adopt stores, so what is signed is what is kept.
	Files []StagedFile

	store    *Store
	folder   string // relative to the store; empty in place
	external string // absolute; empty for copies
	seen     []fileState
	once     sync.Once
}

// fileState tells a file from what it was before.
type fileState struct {
	size     int64
	modified time.Time
}

func stateOf(info fs.FileInfo) fileState { return fileState{info.Size(), info.ModTime()} }

// Stage makes a file, or everything in a folder, ready for publishing. Without
// inPlace each file is copied into the store's staging area, by sharing blocks
// where the file system can; with it the files stay where they are and are
// referred to, which costs no disk, but they must then be left alone: a chunk
// that was edited is missing. Files appear under their path below the folder;
// a single file under its own name. Hidden files count. Symbolic links and
// special files below the folder are errors, as are names that not every
// operating system allows, and a file that changes while it is read.
//
// Adopt or Discard the result; what is left over goes at the next Open.
// Errors: ErrFull.
func (s *Store) Stage(ctx context.Context, path string, inPlace bool) (*Staged, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	st := &Staged{store: s}
	err := s.stage(ctx, st, path, inPlace)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: stage %s: %w", path, full(err)), st.remove())
	}
	return st, nil
}

func (s *Store) stage(ctx context.Context, st *Staged, source string, inPlace bool) error {
	source, err := filepath.Abs(source)
	if err == nil {
		source, err = filepath.EvalSymlinks(source)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	base, names := source, []string(nil)
	switch {
	case info.Mode().IsRegular():
		base, names = filepath.Dir(source), []string{filepath.Base(source)}
		if err := manifest.ValidatePath(names[0]); err != nil {
			return err
		}
	case !info.IsDir():
		return fmt.Errorf("it is a %s: only plain files can be published", info.Mode().Type())
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	defer root.Close() // read only: nothing to lose
	if names == nil {
		if names, err = listFolder(ctx, root); err != nil {
			return err
		}
	}
	if inPlace {
		if !utf8.ValidString(base) {
			return fmt.Errorf("the folder's name %q is no UTF-8: rename it, or publish without --in-place", base)
		}
		st.external = base
	} else {
		st.folder = path.Join(stagingDir, rand.Text())
		if err := s.dir.root.Mkdir(st.folder, dirPerm); err != nil {
			return err
		}
		if err := s.checkStaging(root, names); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := s.stageFile(ctx, st, root, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// listFolder lists the plain files below root in order of path.
func listFolder(ctx context.Context, root *os.Root) (names []string, err error) {
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link: replace it by what it points to", name)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is a %s: only plain files can be published", name, d.Type())
		case len(names) == manifest.MaxFiles:
			return fmt.Errorf("more than %d files", manifest.MaxFiles)
		}
		names = append(names, name)
		return manifest.ValidatePath(name)
	})
	if err == nil && len(names) == 0 {
		err = errors.New("no files in the folder")
	}
	slices.Sort(names)
	return names, err
}

// checkStaging refuses to start copying what does not fit the disk.
func (s *Store) checkStaging(root *os.Root, names []string) error {
	var need uint64
	for _, name := range names {
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		need += uint64(info.Size())
	}
	free, err := freeBytes(s.dir.path)
	if err == nil && free < need+s.cfg.MinFreeBytes {
		err = fmt.Errorf("%w on the disk: %d bytes to copy, %d free, of which %d are left to others", ErrFull, need, free, s.cfg.MinFreeBytes)
	}
	return err
}

func (s *Store) stageFile(ctx context.Context, st *Staged, root *os.Root, name string) error {
	before, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !before.Mode().IsRegular() { // again: the folder may have changed
		return fmt.Errorf("it is a %s: only plain files can be published", before.Mode().Type())
	}
	fullPath := filepath.Join(st.external, filepath.FromSlash(name))
	if st.external == "" {
		to := path.Join(st.folder, name)
		if err := s.dir.root.MkdirAll(path.Dir(to), dirPerm); err != nil {
			return err
		}
		if err := s.stageCopy(ctx, root, name, to, before); err != nil {
			return err
		}
		fullPath = s.dir.full(to)
	}
	st.Files = append(st.Files, StagedFile{Path: name, FullPath: fullPath, Size: before.Size()})
	st.seen = append(st.seen, stateOf(before))
	return nil
}

// stageCopy copies a file and asks the kernel to start writing it out, so that
// most of it is on disk by the time the caller has hashed it.
func (s *Store) stageCopy(ctx context.Context, root *os.Root, name, to string, before fs.FileInfo) error {
	src, err := root.Open(name)
	if err != nil {
		return err
	}
	defer src.Close() // read only: nothing to lose
	dst, err := s.dir.create(to, writingPerm)
	if err != nil {
		return err
	}
	err = copyFile(ctx, dst, src, before.Size())
	if err == nil {
		err = unchanged(src, before)
	}
	return errors.Join(err, dst.Close())
}

func unchanged(f *os.File, before fs.FileInfo) error {
	after, err := f.Stat()
	if err == nil && (!os.SameFile(before, after) || stateOf(before) != stateOf(after)) {
		err = errors.New("it changed while it was being read: wait until nobody writes to it")
	}
	return err
}

func copyFile(ctx context.Context, dst, src *os.File, size int64) error {
	if cloneFile(dst, src) {
		info, err := dst.Stat()
		if err == nil && info.Size() != size {
			err = fmt.Errorf("it has %d bytes and had %d", info.Size(), size)
		}
		return err
	}
	for at := int64(0); at < size; at += copyStepBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(copyStepBytes, size-at)
		if err := copyRange(dst, src, at, at, n); err != nil {
			return err
		}
		startWriteback(dst, at, n)
	}
	return nil
}

// Discard deletes the staged copies, never files in place. After Adopt, after
// Close and the second time it does nothing.
func (st *Staged) Discard() error {
	if st.store.enter() != nil {
		return nil // the next Open removes them
	}
	defer st.store.leave()
	return st.remove()
}

func (st *Staged) remove() (err error) {
	st.once.Do(func() {
		if st.folder != "" {
			err = st.store.dir.root.RemoveAll(st.folder)
		}
	})
	return err
}

// name returns where the staged copy of file i lies, relative to the store.
func (st *Staged) name(i int) string { return path.Join(st.folder, st.Files[i].Path) }

// check fails if a file in place, or a staged copy, is not what was staged.
func (st *Staged) check(i int) error {
	f := st.Files[i]
	info, err := os.Lstat(f.FullPath)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != f.Size ||
		st.external != "" && stateOf(info) != st.seen[i] {
		return fmt.Errorf("%s changed since it was staged: stage it again: %w", f.FullPath, ErrMismatch)
	}
	return nil
}
