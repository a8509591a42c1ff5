package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
)

// letGo ends what this node does for a model without a rule for it: a model
// that is not followed stops serving, one that is not carried either loses its
// pins, so that its room can be given back.
func (n *Node) letGo(ctx context.Context, m manifest.Model) error {
	if n.rules.follows(m) {
		return nil
	}
	var err error
	if status, ok := n.activation(m); ok && (status.Recorded != nil || status.Pending != nil) {
		err = n.activator.Deactivate(ctx, string(m))
	}
	if n.rules.carries(m) {
		return err
	}
	n.board.drop(m)
	return errors.Join(err, n.repin(m, nil))
}

// clearWants ends wants that were persisted for a release which is replaced,
// revoked, or of a model that no rule asks for. A release that trust knows
// nothing of stays wanted: what has arrived of it is kept until its publisher
// is known again.
func (n *Node) clearWants(wants map[manifest.CID]want, workers map[manifest.CID]*worker) {
	for _, r := range n.store.Wants() {
		if _, ok := wants[r.Manifest]; ok || workers[r.Manifest] != nil {
			continue
		}
		if _, known := n.trust.Release(r.Model, r.Version); !known && n.ruled(r.Model) {
			continue
		}
		if err := n.store.ClearWant(r.Manifest); err != nil {
			n.log.Warn("release stays wanted", slog.String("release", r.String()), slog.Any("error", err))
		}
	}
}

// dropRevoked lets go of releases that are kept to go back to and that their
// publisher took back. What serves stays until something safe replaces it.
func (n *Node) dropRevoked() {
	releases, err := n.store.Releases()
	if err != nil {
		n.log.Warn("store does not say what it holds", slog.Any("error", err))
	}
	for _, r := range releases {
		if !slices.Contains(r.Pins, store.PinPrevious) || !n.revoked(r.Release) {
			continue
		}
		err := n.store.Unpin(r.Manifest, store.PinPrevious)
		if err == nil {
			err = n.removeUnpinned(r.Model)
		}
		if err != nil {
			n.log.Warn("release that was taken back still takes room", slog.String("release", r.String()), slog.Any("error", err))
		}
	}
}

// ruled says whether the model is followed or carried.
func (n *Node) ruled(m manifest.Model) bool { return n.rules.follows(m) || n.rules.carries(m) }

// removeUnpinned takes the model's releases that nothing keeps any more off the
// disk; one that is being worked on, or wanted, is left for garbage collection.
func (n *Node) removeUnpinned(m manifest.Model) error {
	releases, err := n.store.Releases()
	if err != nil {
		return err
	}
	for _, r := range releases {
		if r.Model != m || len(r.Pins) > 0 {
			continue
		}
		switch removeErr := n.store.Remove(r.Manifest); {
		case removeErr == nil:
			n.log.Info("older release removed", slog.String("model", string(m)), slog.String("version", r.Version))
		case !errors.Is(removeErr, store.ErrPinned) && !errors.Is(removeErr, store.ErrNotHeld):
			err = errors.Join(err, removeErr)
		}
	}
	return err
}
