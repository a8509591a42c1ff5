package store

import (
	"fmt"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Pin adds a reason to keep the release; durable on return. Errors: ErrNotHeld
// if the release was not begun.
func (s *Store) Pin(m manifest.CID, p Pin) error {
	if !slices.Contains(pinKinds, p) {
		return fmt.Errorf("store: unknown pin %.80q", string(p))
	}
	return s.setPin(m, p, true)
}

// Unpin takes a reason away; durable on return. No error if the release did
// not have it, or is not here.
func (s *Store) Unpin(m manifest.CID, p Pin) error { return s.setPin(m, p, false) }

func (s *Store) setPin(m manifest.CID, p Pin, on bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.edit.Lock()
	defer s.edit.Unlock()
	rec, ok := s.release(m)
	if !ok {
		if !on {
			return nil
		}
		return fmt.Errorf("store: pin release %s: %w: begin it first", m, ErrNotHeld)
	}
	at, has := slices.BinarySearch(rec.Pins, p)
	if has == on {
		return nil
	}
	rec = rec.clone()
	if on {
		rec.Pins = slices.Insert(rec.Pins, at, p)
	} else {
		rec.Pins = slices.Delete(rec.Pins, at, at+1)
	}
	if err := s.writeRelease(rec); err != nil {
		return fmt.Errorf("store: pin %s: %w", rec.Release, full(err))
	}
	return nil
}
