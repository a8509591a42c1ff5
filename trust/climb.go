package trust

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// climb returns a copy of old with roots, in ascending order, added to its
// chain: each signed by a threshold of its predecessor's keys and of its own
// (TUF §5.3). Version 1 must be what the fingerprint names. Roots that are
// held already are passed over.
func climb(old *view, roots [][]byte) (*view, error) {
	n := *old
	n.roots = slices.Clone(old.roots)
	var set *trustedmetadata.TrustedMetadata
	for _, data := range roots {
		if n.root != nil && slices.ContainsFunc(n.roots, func(held []byte) bool { return bytes.Equal(held, data) }) {
			continue
		}
		d, err := decodeRoot(data)
		if err != nil {
			return nil, err
		}
		switch {
		case n.root == nil:
			if fp := SumFingerprint(data); fp != old.publisher {
				return nil, fmt.Errorf("root %d: %w: its fingerprint is %s, pinned is %s", d.version, ErrForged, fp, old.publisher)
			}
			if d.version != 1 {
				return nil, fmt.Errorf("root %d: %w: a fingerprint is of root version 1", d.version, ErrMalformed)
			}
			if n.name != "" && n.name != publisherOf(d) {
				return nil, fmt.Errorf("%w: fingerprint %s is of publisher %q, it was pinned as %q", ErrPinned, old.publisher, publisherOf(d), n.name)
			}
			if set, err = trustedmetadata.New(data); err != nil {
				return nil, fmt.Errorf("root 1: %w", translate(err))
			}
			if err := checkSigners("root 1", d.meta.Signatures, rootSigners(d)); err != nil {
				return nil, err
			}
			n.name = publisherOf(d)
		case d.version <= n.root.version:
			if err := sameRoot(n.roots, d); err != nil {
				return nil, err
			}
			continue
		case d.version > n.root.version+1:
			return nil, fmt.Errorf("root %d: %w: %d is held, those between are missing", d.version, ErrMismatch, n.root.version)
		default:
			if publisherOf(d) != n.name {
				return nil, fmt.Errorf("root %d: %w: publisher is %q, was %q", d.version, ErrForged, publisherOf(d), n.name)
			}
			if set == nil {
				if set, err = trustedmetadata.New(n.root.data); err != nil {
					return nil, fmt.Errorf("root %d: %w", n.root.version, translate(err))
				}
			}
			if _, err := set.UpdateRoot(data); err != nil {
				return nil, fmt.Errorf("root %d: %w", d.version, translate(err))
			}
			if err := checkSigners(fmt.Sprintf("root %d", d.version), d.meta.Signatures, rootSigners(n.root), rootSigners(d)); err != nil {
				return nil, err
			}
		}
		n.root = d
		n.roots = append(n.roots, data)
	}
	return &n, nil
}

// rootSigners returns the labels of the keys that may sign for root.
func rootSigners(root *rootDoc) []string { return root.meta.Signed.Roles[metadata.ROOT].KeyIDs }

// sameRoot compares d with the root of its version in the chain roots: nil if
// the signed content is the same, a conflict if the publisher signed both.
func sameRoot(roots [][]byte, d *rootDoc) error {
	held, err := decodeRoot(roots[d.version-1])
	if err != nil {
		return err
	}
	if held.payload == d.payload {
		return nil
	}
	forged := fmt.Errorf("root %d: %w: not the one in the chain from the pinned root", d.version, ErrForged)
	if d.version == 1 {
		return forged
	}
	before, err := decodeRoot(roots[d.version-2])
	if err != nil {
		return err
	}
	if before.meta.VerifyDelegate(metadata.ROOT, d.meta) != nil || d.meta.VerifyDelegate(metadata.ROOT, d.meta) != nil {
		return forged
	}
	return &conflict{role: metadata.ROOT, what: fmt.Sprintf("root %d", d.version), first: held.data, second: d.data}
}
