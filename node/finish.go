package node

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

// finishPublishing makes the registry believe what a local publisher signed
// before an earlier process ended, so that whoever is met learns of it. Nothing
// that fails keeps the node from starting; it is logged.
//
// A release that is signed and not whole here was never announced, and nobody
// could have it: it waits for the same `dunlin publish` again.
func (n *Node) finishPublishing(signer *trust.Signer) {
	if err := n.tryFinish(signer); err != nil {
		n.log.Warn("what was signed is not announced", slog.String("publisher", signer.Name()), slog.Any("error", err))
	}
}

func (n *Node) tryFinish(signer *trust.Signer) error {
	p, ok := n.trust.Publisher(signer.Name())
	if !ok || p.Fingerprint != signer.Fingerprint() {
		return nil // publish pins it
	}
	update, news := signer.Update(n.trust.Have(p.Fingerprint))
	if !news {
		return nil
	}
	var unknown []trust.Release
	for _, r := range signer.Latest() {
		if known, ok := n.trust.Latest(r.Model); !ok || known.Sequence < r.Sequence {
			unknown = append(unknown, r)
		}
	}
	for _, r := range unknown {
		if err := n.publishable(r); err != nil {
			return fmt.Errorf("%s@%s: %w: publish it again", r.Model, r.Version, err)
		}
	}
	for _, r := range unknown {
		if err := n.store.Pin(r.Manifest, store.PinPublished); err != nil {
			return err
		}
	}
	if _, err := n.trust.Apply(p.Fingerprint, update); err != nil {
		return err
	}
	var err error
	for _, r := range unknown {
		n.log.Info("release that an earlier process signed is announced", slog.String("model", string(r.Model)), slog.String("version", r.Version))
		err = errors.Join(err, n.unpinOldPublished(r.Model))
	}
	return err
}

// publishable returns nil if every variant of the release, its golden set and
// its report are here whole.
func (n *Node) publishable(r trust.Release) error {
	m, err := n.manifest(r.Manifest)
	if err != nil {
		return err
	}
	var names []string
	for _, v := range m.Variants {
		names = append(names, v.Name)
	}
	if len(m.Golden) > 0 {
		names = append(names, store.Golden)
	}
	if m.Report != nil {
		names = append(names, store.Report)
	}
	held, err := n.held(r.Manifest)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(held.Variants, func(v store.VariantState) bool { return v.Name == name && v.Complete }) {
			return fmt.Errorf("its variant %s is not whole", name)
		}
	}
	return nil
}

// held returns what the store has of a release; nothing if it has none.
func (n *Node) held(c manifest.CID) (store.ReleaseState, error) {
	releases, err := n.store.Releases()
	if err != nil {
		return store.ReleaseState{}, err
	}
	for _, r := range releases {
		if r.Manifest == c {
			return r, nil
		}
	}
	return store.ReleaseState{}, nil
}
