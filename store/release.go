package store

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Releases lists what is here, in order of model, then sequence. A release
// whose manifest block was lost is listed without variants.
func (s *Store) Releases() ([]ReleaseState, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.mu.Lock()
	recs := make([]*releaseRecord, 0, len(s.releases))
	for _, r := range s.releases {
		recs = append(recs, r.rec)
	}
	s.mu.Unlock()
	slices.SortFunc(recs, func(a, b *releaseRecord) int { return compareReleases(a.Release, b.Release) })
	out := make([]ReleaseState, 0, len(recs))
	for _, rec := range recs {
		state := ReleaseState{Release: rec.Release, Pins: slices.Clone(rec.Pins), Variants: []VariantState{}}
		m, err := s.knownManifest(rec.Release)
		if err != nil && !errors.Is(err, ErrNotHeld) {
			return nil, fmt.Errorf("store: list %s: %w", rec.Release, err)
		}
		if err == nil {
			for _, v := range rec.Variants {
				vs, err := s.variantState(rec, m, v.Name)
				if err != nil {
					return nil, fmt.Errorf("store: list %s: %w", rec.Release, err)
				}
				state.Variants = append(state.Variants, vs)
			}
		}
		out = append(out, state)
	}
	return out, nil
}

func (s *Store) variantState(rec *releaseRecord, m *manifest.Manifest, variant string) (VariantState, error) {
	state := VariantState{Name: variant, Complete: true}
	targets, err := targetsOf(rec.Dir, m, variant)
	if err != nil {
		return state, err
	}
	for _, t := range targets {
		state.Bytes += t.file.Size
		id, cp, err := s.copyOf(rec.Release.Manifest, variant, t.file.Path)
		if errors.Is(err, errNoKey) {
			state.Complete = false
			continue
		}
		if err != nil {
			return state, err
		}
		count, err := s.heldOf(id)
		if err != nil {
			return state, err
		}
		state.HeldBytes += count.bytes
		state.Complete = state.Complete && count.chunks == cp.Chunks
	}
	return state, nil
}

// known returns the record, manifest and files of a variant that was begun.
func (s *Store) known(m manifest.CID, variant string) (*releaseRecord, []target, error) {
	rec, ok := s.release(m)
	if !ok {
		return nil, nil, fmt.Errorf("store: release %s: %w: begin it first", m, ErrNotHeld)
	}
	if _, ok := rec.variant(variant); !ok {
		return nil, nil, fmt.Errorf("store: variant %.80q of %s: %w: begin it first", variant, rec.Release, ErrNotHeld)
	}
	mf, err := s.knownManifest(rec.Release)
	if err != nil {
		return nil, nil, fmt.Errorf("store: %s: %w", rec.Release, err)
	}
	targets, err := targetsOf(rec.Dir, mf, variant)
	return rec, targets, err
}

// Complete says whether every chunk of the variant (or Golden, Report) is held
// and durable. It does not read the files: see Verify. False without an error if
// the release or the variant was not begun.
func (s *Store) Complete(m manifest.CID, variant string) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	rec, ok := s.release(m)
	if !ok {
		return false, nil
	}
	if _, ok := rec.variant(variant); !ok {
		return false, nil
	}
	mf, err := s.knownManifest(rec.Release)
	if err != nil {
		return false, fmt.Errorf("store: %s: %w", rec.Release, err)
	}
	state, err := s.variantState(rec, mf, variant)
	if err != nil {
		return false, fmt.Errorf("store: %s: %w", rec.Release, err)
	}
	return state.Complete, nil
}

// Locate says where the files of a variant (or Golden, Report) lie. Errors:
// ErrNotHeld if it was not begun.
func (s *Store) Locate(m manifest.CID, variant string) (Location, error) {
	if err := s.enter(); err != nil {
		return Location{}, err
	}
	defer s.leave()
	rec, targets, err := s.known(m, variant)
	if err != nil {
		return Location{}, err
	}
	s.use(m)
	v, _ := rec.variant(variant)
	loc := Location{Dir: s.dir.full(path.Join(rec.Dir, variant)), Files: make([]FileLocation, 0, len(targets))}
	if v.External != "" {
		loc.Dir = v.External
	}
	for _, t := range targets {
		at := FileLocation{Path: t.file.Path, FullPath: s.dir.full(t.name), Size: t.file.Size}
		id, cp, err := s.copyOf(m, variant, t.file.Path)
		if err == nil {
			if cp.External != "" {
				at.FullPath = cp.External
			}
			at.Complete, err = s.completeCopy(id, cp)
		}
		if err = ignore(err, errNoKey); err != nil {
			return Location{}, fmt.Errorf("store: locate %s: %w", rec.Release, err)
		}
		loc.Files = append(loc.Files, at)
	}
	return loc, nil
}
