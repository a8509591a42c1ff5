package store

import (
	"context"
	"errors"
	"fmt"
	"path"

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
// not fit, ErrFull how much is needed; after these nothing that was held is lost,
// and Begin may be called again.
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
	changes, err := s.make(ctx, r, all, targets, twins)
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if ch.found {
			if _, err := s.findChunks(ctx, ch.id, ch.rec, nil); err != nil {
				return err
			}
		}
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
//	                                           which the next Begin takes over
func (s *Store) make(ctx context.Context, r Release, variants []string, targets []target, twins map[manifest.FileID]uint64) ([]change, error) {
	s.edit.Lock()
	defer s.edit.Unlock()
	rec, err := s.recordFor(r)
	if err != nil {
		return nil, err
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
			return nil, err
		}
		if ok {
			continue
		}
		missing = append(missing, t)
		if _, twin := twins[t.file.ID()]; twin || making[t.file.ID()] || s.leftover(t) {
			continue
		}
		making[t.file.ID()] = true
		_, old, err := s.insideCopy(t.file.ID())
		if err != nil {
			return nil, err
		}
		if old == nil {
			need += t.file.Size
		}
	}
	if err := s.makeRoom(ctx, r.String(), need, false); err != nil {
		return nil, err
	}
	for _, v := range variants {
		if _, ok := rec.variant(v); !ok {
			rec.addVariant(variantRecord{Name: v})
		}
	}
	if err := s.writeRelease(rec); err != nil {
		return nil, err
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
