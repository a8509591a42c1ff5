package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Begin makes everything ready for the chunks of these variants of a release,
// and of its golden set and report: folders, files of their full length, and
// whatever other files on this machine hold already. The blocks of the manifest,
// layouts and digest lists must be held. An identical file becomes another
// name (hard link) of the one that is here; equal chunks are taken from where
// they lie, and compared with their digest afterwards.
//
// Begin may be called again, to go on after a crash, to add variants or to put
// right what somebody deleted; it is what makes a release known. Room is
// checked first: what nothing keeps is removed for it, least recently used
// first. Durable on return. If ctx ends while chunks are being taken the
// release is begun all the same, and the error says so.
//
// Errors: ErrNotHeld names the block that is missing, ErrMismatch says what does
// not fit, ErrFull how much is needed; after these nothing has changed.
func (s *Store) Begin(ctx context.Context, r Release, variants []string) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	defer s.hold(r.Manifest)()
	if err := s.begin(ctx, r, variants); err != nil {
		return fmt.Errorf("store: begin %s: %w", r, full(err))
	}
	return nil
}

func (s *Store) begin(ctx context.Context, r Release, variants []string) error {
	m, err := s.manifestOf(r)
	if err != nil {
		return err
	}
	all := withExtras(m, variants)
	var targets []target // names follow under edit
	for _, v := range all {
		ts, err := targetsOf("", m, v)
		if err != nil {
			return err
		}
		targets = append(targets, ts...)
	}
	blocks, err := s.describe(r, targets)
	if err != nil {
		return err
	}
	if err := s.syncBlocks(blocks); err != nil {
		return err
	}
	twins, err := s.findTwins(ctx, targets)
	if err != nil {
		return err
	}
	if err := s.make(ctx, r, all, targets, twins); err != nil {
		return err
	}
	if err := s.fillAll(ctx, targets); err != nil {
		return err
	}
	return s.retireAll(r.Manifest, targets)
}

// make does the part of Begin that holds edit: room, folders, files, index.
//
//	crash before the release is in the index:  its folder is an orphan, which
//	                                           the next Begin takes over or GC removes
//	crash before its files are:                files without a name in the index,
//	                                           which the next Begin replaces
func (s *Store) make(ctx context.Context, r Release, variants []string, targets []target, twins map[manifest.FileID]uint64) error {
	s.edit.Lock()
	defer s.edit.Unlock()
	rec, err := s.recordFor(r)
	if err != nil {
		return err
	}
	for i, t := range targets {
		targets[i].name = path.Join(rec.Dir, t.variant, t.file.Path)
	}
	var missing []target
	var need uint64
	making := make(map[manifest.FileID]bool)
	for _, t := range targets {
		ok, err := s.settled(r.Manifest, t)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		missing = append(missing, t)
		if _, twin := twins[t.file.ID()]; twin || making[t.file.ID()] {
			continue
		}
		making[t.file.ID()] = true
		_, old, err := s.insideCopy(t.file.ID())
		if err != nil {
			return err
		}
		if old == nil {
			need += t.file.Size
		}
	}
	if err := s.makeRoom(ctx, r.String(), need, false); err != nil {
		return err
	}
	for _, v := range variants {
		if _, ok := rec.variant(v); !ok {
			rec.addVariant(variantRecord{Name: v})
		}
	}
	if err := s.writeRelease(rec); err != nil {
		return err
	}
	return s.makeFiles(r.Manifest, missing, twins)
}

// settled says whether a target is in the index and on disk as it should be. A
// file in place that lost chunks is not: its bytes will be fetched into the
// store.
func (s *Store) settled(m manifest.CID, t target) (bool, error) {
	id, rec, err := s.copyOf(m, t.variant, t.file.Path)
	if errors.Is(err, errNoKey) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if rec.External == "" {
		return true, s.restoreNames(id, rec)
	}
	complete, err := s.completeCopy(id, rec)
	return complete, err
}

// completeCopy says whether a copy holds every chunk.
func (s *Store) completeCopy(id uint64, rec *copyRecord) (bool, error) {
	count, err := s.heldOf(id)
	return count.chunks == rec.Chunks, err
}

// heldOf reads how much of a copy is held.
func (s *Store) heldOf(id uint64) (heldCount, error) {
	value, err := s.index.get(copyKey(keyHeld, id))
	if errors.Is(err, errNoKey) {
		return heldCount{}, nil
	}
	if err != nil {
		return heldCount{}, err
	}
	return decodeHeld(value)
}

// insideCopy returns a copy of the file in the store; nil if there is none.
func (s *Store) insideCopy(id manifest.FileID) (uint64, *copyRecord, error) {
	ids, err := s.index.ids(filePrefix(id))
	if err != nil {
		return 0, nil, err
	}
	for _, n := range ids {
		rec := &copyRecord{}
		if err := s.index.record(copyKey(keyCopy, n), rec); err != nil && !errors.Is(err, errNoKey) {
			return 0, nil, err
		}
		if rec.External == "" && len(rec.Names) > 0 && len(rec.Names) < maxCopyNames {
			return n, rec, nil
		}
	}
	return 0, nil, nil
}

// makeFiles makes the targets' files, or names for files that are here, and
// notes them in the index once they are durable.
func (s *Store) makeFiles(m manifest.CID, targets []target, twins map[manifest.FileID]uint64) error {
	var changes []change
	made := make(map[manifest.FileID]change)
	folders := make(map[string]bool)
	for _, t := range targets {
		if err := s.replaceName(m, t); err != nil {
			return err
		}
		if err := s.dir.mkdirs(path.Dir(t.name)); err != nil {
			return err
		}
		folders[path.Dir(t.name)] = true
		ch, err := s.makeFile(t, made, twins)
		if err != nil {
			return err
		}
		made[t.file.ID()] = ch
		changes = append(changes, ch)
	}
	for name := range folders {
		if err := s.dir.sync(name); err != nil {
			return err
		}
	}
	if err := s.apply(m, changes); err != nil {
		return err
	}
	for _, ch := range made {
		if err := s.indexDigests(ch.id, ch.rec); err != nil {
			return err
		}
	}
	return nil
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
