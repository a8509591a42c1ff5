package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// load reads releases and wants into memory and finishes removals.
func (s *Store) load() error {
	err := s.index.scan([]byte{keyRelease}, true, func(k, v []byte) error {
		rec := &releaseRecord{}
		if err := manifest.Decode(v, rec); err != nil {
			return fmt.Errorf("store: index key %x: %w: %w", k, ErrIndex, err)
		}
		s.releases[rec.Release.Manifest] = &release{rec: rec}
		s.folders[rec.Dir] = rec.Release.Manifest
		return nil
	})
	if err != nil {
		return err
	}
	for m, r := range s.releases {
		used, err := s.index.get(releaseKey(keyUsed, m))
		switch {
		case err == nil && len(used) == 8:
			r.used.Store(int64(binary.BigEndian.Uint64(used)))
		case err != nil && !errors.Is(err, errNoKey):
			return err
		}
	}
	if err := s.loadIDs(); err != nil {
		return err
	}
	if err := s.loadWants(); err != nil {
		return err
	}
	return s.finishRemovals()
}

// loadIDs finds the highest number of a copy, and removes the bits of copies
// that a crash kept from being noted: a number must not be given again while
// bits stand under it.
func (s *Store) loadIDs() error {
	known := make(map[uint64]bool)
	err := s.index.scan([]byte{keyCopy}, false, func(k, _ []byte) error {
		if len(k) == 9 {
			known[lastID(k)] = true
			s.nextID = max(s.nextID, lastID(k))
		}
		return nil
	})
	var stray [][]byte
	for _, kind := range []byte{keyBits, keyHeld} {
		err = errors.Join(err, s.index.scan([]byte{kind}, false, func(k, _ []byte) error {
			if len(k) < 9 || !known[lastID(k[:9])] {
				stray = append(stray, slices.Clone(k))
			}
			return nil
		}))
	}
	if err != nil || len(stray) == 0 {
		return err
	}
	return s.index.bulk(func(_ func(k, v []byte) error, del func([]byte) error) error {
		for _, k := range stray {
			if err := del(k); err != nil {
				return err
			}
		}
		return nil
	})
}
