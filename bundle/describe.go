package bundle

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// filesOf lists the files of some variants, of the golden set and the report, in
// the manifest's order, files of equal content once. It fails if the manifest
// has no such variants in this order, or contradicts itself about a file.
func filesOf(m *manifest.Manifest, variants []string) ([]manifest.File, error) {
	var all []manifest.File
	next := 0
	for _, v := range m.Variants {
		if next < len(variants) && v.Name == variants[next] {
			all = append(all, v.Files...)
			next++
		}
	}
	if next < len(variants) {
		return nil, fmt.Errorf("the manifest has no variant %.80q in this place", variants[next])
	}
	all = append(all, m.Golden...)
	if m.Report != nil {
		all = append(all, *m.Report)
	}
	sizes := make(map[manifest.FileID]uint64)
	out := all[:0:0]
	for _, f := range all {
		size, seen := sizes[f.ID()]
		if seen && size != f.Size {
			return nil, fmt.Errorf("the manifest gives file %s two sizes", f.ID())
		}
		if !seen {
			sizes[f.ID()] = f.Size
			out = append(out, f)
		}
	}
	return out, nil
}

// chunked is a file's layout and digests.
type chunked struct {
	chunks  manifest.Chunks
	digests []manifest.Digest
}

// describe reads what describes the chunks of a file of that size.
func describe(id manifest.FileID, size uint64, get func(manifest.CID) ([]byte, error)) (chunked, error) {
	data, err := get(id.Layout)
	if err != nil {
		return chunked{}, err
	}
	var l manifest.Layout
	if err := manifest.Decode(data, &l); err != nil {
		return chunked{}, fmt.Errorf("layout %s: %w", id.Layout, err)
	}
	if l.Size != size {
		return chunked{}, fmt.Errorf("layout %s is of %d bytes, the file has %d: %w", id.Layout, l.Size, size, manifest.ErrFormat)
	}
	c := chunked{chunks: l.Chunks()}
	if c.digests, err = manifest.LoadDigests(id.Digests, c.chunks.Len(), get); err != nil {
		return chunked{}, fmt.Errorf("digests %s: %w", id.Digests, err)
	}
	return c, nil
}

// twins finds equal chunks of a file: only the first of them has a section.
type twins struct {
	digests []manifest.Digest
	first   map[uint64]uint32 // by the digest's beginning
	more    map[uint32][]uint32
}

// findTwins looks at the chunks in r. Two digests that only begin alike make the
// later one a chunk without twins, on both ends.
func findTwins(digests []manifest.Digest, r manifest.Ranges) *twins {
	t := &twins{digests: digests, first: make(map[uint64]uint32, r.Count()), more: make(map[uint32][]uint32)}
	for i := range r.All() {
		key := binary.BigEndian.Uint64(digests[i][:8])
		j, ok := t.first[key]
		switch {
		case !ok:
			t.first[key] = uint32(i)
		case digests[j] == digests[i]:
			t.more[j] = append(t.more[j], uint32(i))
		}
	}
	return t
}

// repeats says whether an earlier chunk in the ranges has the same bytes.
func (t *twins) repeats(i int) bool {
	j := t.first[binary.BigEndian.Uint64(t.digests[i][:8])]
	return int(j) != i && t.digests[j] == t.digests[i]
}

// of returns the later twins of chunk i.
func (t *twins) of(i int) []uint32 { return t.more[uint32(i)] }

// walker yields the structured blocks of a release in order: the manifest, then
// of each file the layout and the digest tree, parents first, each block once.
type walker struct {
	get     func(manifest.CID) ([]byte, error)
	seen    map[manifest.CID]bool
	layouts map[manifest.CID]laidOut
}

// laidOut is what the walker remembers of a layout.
type laidOut struct {
	size   uint64
	chunks int
}

func newWalker(get func(manifest.CID) ([]byte, error)) *walker {
	return &walker{get: get, seen: make(map[manifest.CID]bool), layouts: make(map[manifest.CID]laidOut)}
}

// file walks the blocks of one file.
func (w *walker) file(id manifest.FileID, size uint64) error {
	data, fresh, err := w.block(id.Layout)
	if err != nil {
		return err
	}
	if fresh {
		var l manifest.Layout
		if err := manifest.Decode(data, &l); err != nil {
			return fmt.Errorf("layout %s: %w", id.Layout, err)
		}
		w.layouts[id.Layout] = laidOut{l.Size, l.Chunks().Len()}
	}
	l := w.layouts[id.Layout]
	if l.size != size {
		return fmt.Errorf("layout %s is of %d bytes, the file has %d: %w", id.Layout, l.size, size, manifest.ErrFormat)
	}
	return w.tree(manifest.Subtree{CID: id.Digests, Count: l.chunks})
}

// tree walks a digest tree. One that was seen is not walked again.
func (w *walker) tree(at manifest.Subtree) error {
	data, fresh, err := w.block(at.CID)
	if err != nil || !fresh {
		return err
	}
	_, children, err := manifest.DecodeDigests(at, data)
	if err != nil {
		return fmt.Errorf("digests %s: %w", at.CID, err)
	}
	for _, c := range children {
		if err := w.tree(c); err != nil {
			return err
		}
	}
	return nil
}

// block returns a block, and false without it if it was seen.
func (w *walker) block(c manifest.CID) ([]byte, bool, error) {
	if w.seen[c] {
		return nil, false, nil
	}
	w.seen[c] = true
	data, err := w.get(c)
	return data, true, err
}
