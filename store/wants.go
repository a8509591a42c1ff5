package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// wantRecord is what a file in Dir/wants holds. Wants lie in files and not in
// the index, so that a lost index does not lose them.
type wantRecord struct {
	Schema  int     `cbor:"schema"`
	Release Release `cbor:"release"`
}

// Validate checks every bound.
func (w *wantRecord) Validate() error {
	if w.Schema != recordSchema {
		return fmt.Errorf("want record schema %d, this node knows %d: update dunlin", w.Schema, recordSchema)
	}
	return w.Release.Validate()
}

// SetWant persists that this node means to have the release: it survives a
// crash, and neither the release nor its blocks are removed. Wanting again
// updates version and sequence.
func (s *Store) SetWant(r Release) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("store: want: %w", err)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	block, err := manifest.Encode(&wantRecord{recordSchema, r})
	if err != nil {
		return fmt.Errorf("store: want %s: %w", r, err)
	}
	s.edit.Lock()
	defer s.edit.Unlock()
	s.mu.Lock()
	old, known := s.wants[r.Manifest]
	many := len(s.wants) >= MaxReleases
	s.mu.Unlock()
	switch {
	case known && old == r:
		return nil
	case many && !known:
		return fmt.Errorf("store: want %s: %w: %d releases are wanted already, clear some", r, ErrFull, MaxReleases)
	}
	if err := s.dir.put(wantName(r.Manifest), block.Data, metaPerm, true); err != nil {
		return fmt.Errorf("store: want %s: %w", r, full(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wants[r.Manifest] = r
	return nil
}

// ClearWant ends a want, durably; no error if there was none.
func (s *Store) ClearWant(m manifest.CID) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.edit.Lock()
	defer s.edit.Unlock()
	s.mu.Lock()
	_, ok := s.wants[m]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	if err := ignore(s.dir.root.Remove(wantName(m)), fs.ErrNotExist); err != nil {
		return fmt.Errorf("store: clear want: %w", err)
	}
	s.mu.Lock()
	delete(s.wants, m)
	s.mu.Unlock()
	if err := s.dir.sync(wantsDir); err != nil {
		return fmt.Errorf("store: clear want: %w", err)
	}
	return nil
}

// Wants lists the wants in order of model, then sequence.
func (s *Store) Wants() []Release {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Release, 0, len(s.wants))
	for _, r := range s.wants {
		out = append(out, r)
	}
	slices.SortFunc(out, compareReleases)
	return out
}

func compareReleases(a, b Release) int {
	return cmp.Or(
		strings.Compare(string(a.Model), string(b.Model)),
		cmp.Compare(a.Sequence, b.Sequence),
		strings.Compare(a.Manifest.String(), b.Manifest.String()))
}

func wantName(m manifest.CID) string { return path.Join(wantsDir, m.String()) }

// loadWants reads the wants at Open. A want that cannot be read is set aside
// with a warning: it is heard of again.
func (s *Store) loadWants() error {
	entries, err := s.dir.list(wantsDir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		name := path.Join(wantsDir, e.Name())
		var want wantRecord
		data, err := s.dir.readFile(name, manifest.MaxBlockBytes)
		if err == nil {
			err = manifest.Decode(data, &want)
		}
		if err == nil && want.Release.Manifest.String() != e.Name() {
			err = errors.New("stands under another release's name")
		}
		if err != nil || len(s.wants) >= MaxReleases {
			s.log.Warn("dropped a want", slog.String("file", name), slog.Any("err", err))
			if err := s.dir.root.RemoveAll(name); err != nil {
				return fmt.Errorf("store: %w", err)
			}
			continue
		}
		s.wants[want.Release.Manifest] = want.Release
	}
	return nil
}
