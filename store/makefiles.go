package store

import (
	"errors"
	"path"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// leftover says whether a file lies at a target's name that a crash, or the loss
// of blocks or of the index, has cut off. It is as long as it must be, so it is
// worth being read.
func (s *Store) leftover(t target) bool {
	info, ok := s.isRegular(t.name)
	return ok && uint64(info.Size()) == t.file.Size && t.file.Size > 0
}

// makeFiles makes the targets' files, or names for files that are here, and
// notes them in the index once they are durable. Targets have no name there.
func (s *Store) makeFiles(m manifest.CID, targets []target, twins map[manifest.FileID]uint64) ([]change, error) {
	var changes []change
	made := make(map[manifest.FileID]change)
	folders := make(map[string]bool)
	for _, t := range targets {
		ch, err := s.takeOver(m, t)
		if err == nil && !ch.found {
			ch, err = s.placeFile(m, t, made, twins)
		}
		if err != nil {
			return nil, err
		}
		folders[path.Dir(t.name)] = true
		made[t.file.ID()] = ch
		changes = append(changes, ch)
	}
	for name := range folders {
		if err := s.dir.sync(name); err != nil {
			return nil, err
		}
	}
	if err := s.apply(m, changes); err != nil {
		return nil, err
	}
	for _, ch := range changes {
		if err := s.indexDigests(ch.id, ch.rec); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// takeOver makes a new copy of a leftover; not found if there is none.
func (s *Store) takeOver(m manifest.CID, t target) (change, error) {
	_, _, err := s.copyOf(m, t.variant, t.file.Path)
	if !errors.Is(err, errNoKey) || !s.leftover(t) {
		return change{}, ignore(err, errNoKey)
	}
	chunks, _, err := s.chunksOf(t.file.ID(), t.file.Size, s.readBlock)
	if err != nil {
		return change{}, err
	}
	id, rec := s.newCopy(t.file, chunks.Len())
	rec.Names = []string{t.name}
	return change{target: t, id: id, rec: rec, found: true}, nil
}

// placeFile frees the target's name and makes its file.
func (s *Store) placeFile(m manifest.CID, t target, made map[manifest.FileID]change, twins map[manifest.FileID]uint64) (change, error) {
	if err := s.replaceName(m, t); err != nil {
		return change{}, err
	}
	if err := s.dir.mkdirs(path.Dir(t.name)); err != nil {
		return change{}, err
	}
	return s.makeFile(t, made, twins)
}

// replaceName frees a target's name from what it stood for before. A file in
// place keeps it for now, since its chunks are still to be taken; see retire.
func (s *Store) replaceName(m manifest.CID, t target) error {
	id, rec, err := s.copyOf(m, t.variant, t.file.Path)
	if err == nil && rec.External == "" {
		err = s.unname(id, rec, t.name)
	}
	if err = ignore(err, errNoKey); err != nil {
		return err
	}
	return s.clearName(t.name)
}

// retireAll lets go of files in place that other files have replaced.
func (s *Store) retireAll(m manifest.CID, targets []target) error {
	s.edit.Lock()
	defer s.edit.Unlock()
	for _, t := range targets {
		id, _, err := s.copyOf(m, t.variant, t.file.Path)
		if err == nil {
			err = s.retire(t.file.ID(), t.name, id)
		}
		if err = ignore(err, errNoKey); err != nil {
			return err
		}
	}
	return nil
}

// retire takes a name from every copy in place of a file but one. Callers hold
// edit.
func (s *Store) retire(id manifest.FileID, name string, but uint64) error {
	ids, err := s.index.ids(filePrefix(id))
	if err != nil {
		return err
	}
	for _, n := range ids {
		rec := &copyRecord{}
		err := s.index.record(copyKey(keyCopy, n), rec)
		if err == nil && n != but && rec.External != "" && slices.Contains(rec.Names, name) {
			err = s.unname(n, rec, name)
		}
		if err = ignore(err, errNoKey); err != nil {
			return err
		}
	}
	return nil
}

// makeFile makes one target's file: a name of one made just now, of the same
// file in another release, of a file of the same bytes; or a new one.
func (s *Store) makeFile(t target, made map[manifest.FileID]change, twins map[manifest.FileID]uint64) (change, error) {
	id := t.file.ID()
	if ch, ok := made[id]; ok && s.linkName(ch.rec, t.name) {
		ch.rec.Names = append(ch.rec.Names, t.name)
		return change{target: t, id: ch.id, rec: ch.rec}, nil
	}
	number, old, err := s.insideCopy(id)
	if err != nil {
		return change{}, err
	}
	if old != nil && s.linkName(old, t.name) {
		old.Names = append(slices.Clone(old.Names), t.name)
		return change{target: t, id: number, rec: old}, nil
	}
	chunks, _, err := s.chunksOf(id, t.file.Size, s.readBlock)
	if err != nil {
		return change{}, err
	}
	number, rec := s.newCopy(t.file, chunks.Len())
	rec.Names = []string{t.name}
	if twin, ok := twins[id]; ok {
		var other copyRecord
		err := s.index.record(copyKey(keyCopy, twin), &other)
		if err == nil && s.linkName(&other, t.name) {
			return change{target: t, id: number, rec: rec, complete: true}, nil
		}
		if err = ignore(err, errNoKey); err != nil {
			return change{}, err
		}
	}
	return change{target: t, id: number, rec: rec}, s.createFile(t.name, t.file.Size)
}
