package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Remove takes a release away: its files, unless other releases share them. A
// read that is under way goes on to its end. Blocks stay until GC. Errors:
// ErrNotHeld if it is not here; ErrPinned if something keeps it.
func (s *Store) Remove(m manifest.CID) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.edit.Lock()
	defer s.edit.Unlock()
	rec, ok := s.release(m)
	if !ok {
		return fmt.Errorf("store: remove release %s: %w", m, ErrNotHeld)
	}
	s.mu.Lock()
	kept := s.kept(m)
	s.mu.Unlock()
	if kept {
		return fmt.Errorf("store: remove %s: %w: it is pinned, wanted or being worked on", rec.Release, ErrPinned)
	}
	if err := s.remove(rec); err != nil {
		return fmt.Errorf("store: remove %s: %w", rec.Release, err)
	}
	return nil
}

// remove takes a release away. Callers hold edit.
//
//  1. the index forgets the release and notes that its folder is to go
//  2. the folder moves to the trash: its names are gone at once
//  3. each name leaves its copy, each copy without names leaves the index
//  4. the trash is emptied, the note goes
//
// A crash before 1 leaves the release whole, one after it is finished at the
// next Open, since every step may be done again. If the index is lost after 1
// and rebuilt from the folder, the release is back, unpinned: a cache.
func (s *Store) remove(rec *releaseRecord) error {
	m := rec.Release.Manifest
	err := s.index.update(func(e edit) error {
		return errors.Join(
			e.set(releaseKey(keyRemoved, m), []byte(rec.Dir)),
			e.del(releaseKey(keyRelease, m)),
			e.del(releaseKey(keyUsed, m)))
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.releases, m)
	delete(s.folders, rec.Dir)
	s.mu.Unlock()
	s.manifests.drop(m)
	return s.finishRemoval(m, rec.Dir)
}

// finishRemoval does steps 2 to 4, all or what is left of them.
func (s *Store) finishRemoval(m manifest.CID, dir string) error {
	if err := s.removeNames(m, dir); err != nil {
		return err
	}
	trash := path.Join(trashDir, rand.Text())
	if err := ignore(s.dir.root.Rename(dir, trash), fs.ErrNotExist); err != nil {
		return err
	}
	if err := s.dir.root.RemoveAll(trash); err != nil {
		return err
	}
	s.removeEmpty(path.Dir(dir))
	return s.index.update(func(e edit) error { return e.del(releaseKey(keyRemoved, m)) })
}

// removeNames takes the release's names out of the index.
func (s *Store) removeNames(m manifest.CID, dir string) error {
	prefix := releaseKey(keyName, m)
	type named struct {
		key, name string
		id        uint64
	}
	var names []named
	err := s.index.scan(prefix, true, func(k, v []byte) error {
		if len(v) != 8 {
			return fmt.Errorf("index key %x: %w", k, ErrIndex)
		}
		names = append(names, named{string(k), path.Join(dir, string(k[len(prefix):])), lastID(v)})
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range names {
		rec := &copyRecord{}
		err := s.index.record(copyKey(keyCopy, n.id), rec)
		if err == nil {
			err = errors.Join(s.unname(n.id, rec, n.name), s.retire(rec.File, n.name, 0))
		}
		if err = ignore(err, errNoKey); err != nil {
			return err
		}
	}
	return s.index.bulk(func(_ func(k, v []byte) error, del func([]byte) error) error {
		for _, n := range names {
			if err := del([]byte(n.key)); err != nil {
				return err
			}
		}
		return nil
	})
}

// removeEmpty removes a model's folder, and its publisher's, if nothing is in
// them. They cost nothing, so a failure does not matter.
func (s *Store) removeEmpty(dir string) {
	for ; strings.HasPrefix(dir, modelsDir+"/"); dir = path.Dir(dir) {
		if s.dir.root.Remove(dir) != nil {
			return
		}
	}
}

// finishRemovals finishes what a crash interrupted; at Open, before others.
func (s *Store) finishRemovals() error {
	type removal struct {
		m   manifest.CID
		dir string
	}
	var todo []removal
	err := s.index.scan([]byte{keyRemoved}, true, func(k, v []byte) error {
		var d manifest.Digest
		if copy(d[:], k[1:]) != len(d) || !strings.HasPrefix(string(v), modelsDir+"/") {
			return fmt.Errorf("index key %x: %w", k, ErrIndex)
		}
		todo = append(todo, removal{d.CID(manifest.DagCBOR), string(v)})
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range todo {
		if err := s.finishRemoval(r.m, r.dir); err != nil {
			return fmt.Errorf("store: finish the removal of %s: %w", r.dir, err)
		}
	}
	return nil
}
