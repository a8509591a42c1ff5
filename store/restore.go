package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// linkName makes name another name of a copy's file, false where the copy has
// no file to link to or the file system cannot.
func (s *Store) linkName(rec *copyRecord, name string) bool {
	if rec.External != "" || len(rec.Names) >= maxCopyNames {
		return false
	}
	for _, old := range rec.Names {
		if info, ok := s.isRegular(old); !ok || uint64(info.Size()) != rec.Size {
			continue
		}
		if s.dir.root.Link(old, name) == nil {
			return true
		}
	}
	return false
}

// clearName removes what lies where a new file is to be.
func (s *Store) clearName(name string) error {
	if _, err := s.dir.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.dir.root.RemoveAll(name)
}

// createFile makes the file of a new copy at its full length.
func (s *Store) createFile(name string, size uint64) error {
	f, err := s.dir.create(name, writingPerm)
	if err != nil {
		return err
	}
	if err := errors.Join(preallocate(f, int64(size)), f.Close()); err != nil {
		return errors.Join(err, s.dir.root.Remove(name))
	}
	return nil
}

// restoreCopy brings back names of a copy that somebody deleted from disk. If
// none is left its chunks are missing, and the file is made anew.
func (s *Store) restoreCopy(c *fileCopy) error {
	s.edit.Lock()
	defer s.edit.Unlock()
	var rec copyRecord
	if err := s.index.record(copyKey(keyCopy, c.id), &rec); err != nil {
		if errors.Is(err, errNoKey) {
			err = fmt.Errorf("release was removed meanwhile: %w", ErrNotHeld)
		}
		return err
	}
	return s.restoreNames(c.id, &rec)
}

// restoreNames is restoreCopy for callers that hold edit.
func (s *Store) restoreNames(id uint64, rec *copyRecord) error {
	var missing []string
	first := ""
	for _, name := range rec.Names {
		if _, ok := s.isRegular(name); !ok {
			missing = append(missing, name)
		} else if first == "" {
			first = name
		}
	}
	if rec.External != "" || len(missing) == 0 {
		return nil
	}
	for _, name := range missing {
		if err := s.dir.mkdirs(path.Dir(name)); err != nil {
			return err
		}
		if err := s.clearName(name); err != nil {
			return err
		}
		switch {
		case first != "":
			if err := s.dir.root.Link(first, name); err != nil {
				return err
			}
		default:
			if err := s.clearCopy(id, rec); err != nil {
				return err
			}
			if err := s.createFile(name, rec.Size); err != nil {
				return full(err)
			}
			first = name
		}
		if err := s.dir.sync(path.Dir(name)); err != nil {
			return err
		}
	}
	return nil
}

// clearCopy marks all chunks of a copy missing, in memory too.
func (s *Store) clearCopy(id uint64, rec *copyRecord) error {
	f, err := s.file(rec.File)
	if err != nil {
		return err
	}
	defer s.drop(f)
	for _, c := range f.snapshot() {
		if c.id == id {
			s.bits.Lock()
			_, err := s.clearBits(f, c, 0, f.chunks.Len())
			s.bits.Unlock()
			return errors.Join(err, c.closeHandle())
		}
	}
	return nil
}
