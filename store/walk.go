package store

import (
	"errors"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// walkBlocks calls get with every block of a manifest, as far as they are here:
// below a block that is missing or malformed there is nothing to see, and the
// walk goes on beside it. variants names those whose files count, all if one
// of the names is empty.
func walkBlocks(root manifest.CID, variants []string, get func(manifest.CID) ([]byte, error)) error {
	data, err := get(root)
	if err != nil {
		return ignore(err, ErrNotHeld)
	}
	var m manifest.Manifest
	if manifest.Decode(data, &m) != nil {
		return nil
	}
	if slices.Contains(variants, "") {
		variants = []string{Golden, Report}
		for _, v := range m.Variants {
			variants = append(variants, v.Name)
		}
	}
	seen := make(map[manifest.FileID]bool)
	for _, v := range variants {
		files, _ := filesOf(&m, v)
		for _, f := range files {
			if seen[f.ID()] {
				continue
			}
			seen[f.ID()] = true
			if err := walkFile(f, get); err != nil {
				return err
			}
		}
	}
	return nil
}

// walkFile calls get with the layout and the digest tree of a file.
func walkFile(f manifest.File, get func(manifest.CID) ([]byte, error)) error {
	data, err := get(f.Layout)
	if err != nil && !errors.Is(err, ErrNotHeld) {
		return err
	}
	var layout manifest.Layout
	if err != nil || manifest.Decode(data, &layout) != nil || layout.Size != f.Size {
		_, err := get(f.Digests) // how it branches is unknown without the layout
		return ignore(err, ErrNotHeld)
	}
	return walkDigests(manifest.Subtree{CID: f.Digests, Count: layout.Chunks().Len()}, get)
}

func walkDigests(at manifest.Subtree, get func(manifest.CID) ([]byte, error)) error {
	data, err := get(at.CID)
	if err != nil {
		return ignore(err, ErrNotHeld)
	}
	_, children, err := manifest.DecodeDigests(at, data)
	if err != nil {
		return nil
	}
	for _, child := range children {
		if err := walkDigests(child, get); err != nil {
			return err
		}
	}
	return nil
}
