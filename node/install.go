package node

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
)

// install checks the variant's files whole and, where it is followed and can
// run, makes it active.
func (n *Node) install(ctx context.Context, w want, v manifest.Variant) error {
	if w.purpose != toRun || (n.runnable(v) != nil && !n.handedOver(w.Model, v)) {
		return n.store.Verify(ctx, w.Manifest, v.Name, nil)
	}
	if verdict, err := n.judge(w, time.Now()); err != nil {
		return err
	} else if !verdict.Go {
		return errFlock
	}
	candidate, err := n.candidate(w.Release, v.Name)
	if err != nil {
		return err
	}
	return explainQuarantine(w.Model, n.activator.Activate(ctx, candidate))
}

// candidate describes a variant on this disk to the activator.
func (n *Node) candidate(r store.Release, variant string) (modelrt.Candidate, error) {
	at, err := n.store.Locate(r.Manifest, variant)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	paths := make([]string, len(at.Files))
	for i, f := range at.Files {
		paths[i] = f.Path
	}
	external, err := n.isHandedOver(r, variant)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	entry, err := entryOf(paths, external)
	if err != nil {
		return modelrt.Candidate{}, fmt.Errorf("%s: %w", r, err)
	}
	golden, err := n.goldenSet(r.Manifest)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	n.placed.set(filepath.Join(at.Dir, filepath.FromSlash(entry)), n.providerFor(r.Manifest, variant))
	return modelrt.Candidate{
		Golden:   golden,
		External: external,
		Release: modelrt.Release{
			Model: string(r.Model), Version: r.Version, Sequence: r.Sequence,
			Release: r.Manifest.String(), Variant: variant, Dir: at.Dir, Entry: entry,
		},
		Verify: func(ctx context.Context) error {
			err := n.store.Verify(ctx, r.Manifest, variant, nil)
			if err == nil && golden != "" {
				err = n.store.Verify(ctx, r.Manifest, store.Golden, nil)
			}
			return err
		},
	}, nil
}

// isHandedOver is handedOver of a variant by its name.
func (n *Node) isHandedOver(r store.Release, variant string) (bool, error) {
	m, err := n.manifest(r.Manifest)
	if err != nil {
		return false, err
	}
	v, ok := m.Variant(variant)
	return ok && n.handedOver(r.Model, v), nil
}

// goldenSet returns the folder of a release's golden set, empty for one that
// has none.
func (n *Node) goldenSet(c manifest.CID) (string, error) {
	m, err := n.manifest(c)
	if err != nil || len(m.Golden) == 0 {
		return "", err
	}
	at, err := n.store.Locate(c, store.Golden)
	if err != nil {
		return "", fmt.Errorf("find its golden set: %w", err)
	}
	return at.Dir, nil
}

// providerFor returns the execution provider that a variant is loaded with.
func (n *Node) providerFor(c manifest.CID, variant string) modelrt.Provider {
	if m, err := n.manifest(c); err == nil {
		if row, ok := n.decide(m, c).Row(variant); ok && row.Provider != "" {
			return row.Provider
		}
	}
	return modelrt.CPU
}
