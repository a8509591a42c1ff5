package store

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// shortCID is how many characters of the manifest's CID a folder's name ends
// with: 40 bits, enough to tell the releases of one model apart.
const shortCID = 8

// dirOf returns the folder of a release.
func dirOf(r Release) string {
	text := r.Manifest.String()
	return path.Join(modelsDir, r.Model.Publisher(), r.Model.Name(), r.Version+"-"+text[len(text)-shortCID:])
}

// target is a file that a release needs.
type target struct {
	variant string
	file    manifest.File
	name    string // relative to the store
}

// targetsOf lists the files of a variant, Golden or Report, in order.
func targetsOf(dir string, m *manifest.Manifest, variant string) ([]target, error) {
	files, ok := filesOf(m, variant)
	if !ok {
		return nil, fmt.Errorf("manifest of %s has no variant %.80q: %w", m.Model, variant, ErrMismatch)
	}
	out := make([]target, len(files))
	for i, f := range files {
		out[i] = target{variant, f, path.Join(dir, variant, f.Path)}
	}
	return out, nil
}

// filesOf returns the files of a variant, Golden or Report.
func filesOf(m *manifest.Manifest, variant string) ([]manifest.File, bool) {
	switch variant {
	case Golden:
		return m.Golden, true
	case Report:
		if m.Report == nil {
			return nil, true
		}
		return []manifest.File{*m.Report}, true
	}
	v, ok := m.Variant(variant)
	return v.Files, ok
}

// withExtras returns variants, in order and each once, with the golden set and
// the report where there are any: whoever holds a variant must be able to check
// it.
func withExtras(m *manifest.Manifest, variants []string) []string {
	out := slices.Clone(variants)
	if len(m.Golden) > 0 {
		out = append(out, Golden)
	}
	if m.Report != nil {
		out = append(out, Report)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// manifestOf reads the manifest of a release and checks that it is of its
// model.
func (s *Store) manifestOf(r Release) (*manifest.Manifest, error) {
	m := &manifest.Manifest{}
	if _, err := s.structured(r.Manifest, m); err != nil {
		return nil, err
	}
	return m, isOf(m, r)
}

// knownManifest is manifestOf for a release that is here: from memory, if the
// block was read before. It is not to be changed.
func (s *Store) knownManifest(r Release) (*manifest.Manifest, error) {
	m, drops := s.manifests.get(r.Manifest)
	if m != nil {
		return m, isOf(m, r)
	}
	m = &manifest.Manifest{}
	size, err := s.structured(r.Manifest, m)
	if err != nil {
		return nil, err
	}
	s.manifests.put(r.Manifest, m, size, drops)
	return m, isOf(m, r)
}

func isOf(m *manifest.Manifest, r Release) error {
	if m.Model != r.Model {
		return fmt.Errorf("manifest %s is of model %s, not %s: %w", r.Manifest, m.Model, r.Model, ErrMismatch)
	}
	return nil
}

// recordFor returns what is to be written for r: what is known already, or a
// new record. A later sequence that names the same manifest keeps the folder.
func (s *Store) recordFor(r Release) (*releaseRecord, error) {
	if rec, ok := s.release(r.Manifest); ok {
		rec = rec.clone()
		if r.Sequence >= rec.Release.Sequence {
			rec.Release.Version, rec.Release.Sequence = r.Version, r.Sequence
		}
		return rec, nil
	}
	dir := dirOf(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.folders[dir]; taken {
		return nil, fmt.Errorf("folder %s belongs to another manifest of that version: %w", dir, ErrMismatch)
	}
	if len(s.releases) >= MaxReleases {
		return nil, fmt.Errorf("%w: %d releases are here already, remove some", ErrFull, MaxReleases)
	}
	return &releaseRecord{Schema: recordSchema, Release: r, Dir: dir}, nil
}

// describe reads the layouts and digest lists of targets, checks that they fit,
// and returns the blocks that the release needs, each once.
func (s *Store) describe(r Release, targets []target) ([]manifest.CID, error) {
	needed := map[manifest.CID]bool{r.Manifest: true}
	get := func(c manifest.CID) ([]byte, error) {
		needed[c] = true
		return s.readBlock(c)
	}
	seen := make(map[manifest.FileID]uint64)
	for _, t := range targets {
		id := t.file.ID()
		if size, ok := seen[id]; ok && size == t.file.Size {
			continue
		}
		if _, _, err := s.chunksOf(id, t.file.Size, get); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(t.variant, t.file.Path), err)
		}
		seen[id] = t.file.Size
	}
	return slices.SortedFunc(maps.Keys(needed), func(a, b manifest.CID) int { return strings.Compare(blockName(a), blockName(b)) }), nil
}
