package node

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
)

// keep pins the release, what the runtime serves and what it could go back to,
// and takes everything older of the model off the disk. The want ends once the
// pins hold.
func (n *Node) keep(w want) error {
	pins := map[manifest.CID][]store.Pin{w.Manifest: {w.pin()}}
	previous, err := n.previous(w.Release)
	if err != nil {
		return err
	}
	if previous.Defined() {
		pins[previous] = append(pins[previous], store.PinPrevious)
	}
	if status, ok := n.activation(w.Model); ok && status.Recorded != nil {
		if c, err := manifest.ParseCID(status.Recorded.Release); err == nil {
			pins[c] = append(pins[c], store.PinActive)
		}
	}
	if err := n.repin(w.Model, pins); err != nil {
		return err
	}
	for _, r := range n.store.Wants() {
		if r.Manifest == w.Manifest || (r.Model == w.Model && r.Sequence < w.Sequence) {
			err = errors.Join(err, n.store.ClearWant(r.Manifest))
		}
	}
	if err != nil {
		return err
	}
	if err := n.removeUnpinned(w.Model); err != nil {
		n.log.Warn("older releases still take room", slog.String("model", string(w.Model)), slog.Any("error", err))
	}
	return nil
}

// previous returns the release to go back to from r: what the runtime served
// before or, where nothing serves, the newest complete release before r. There
// is no way back to what its publisher took back.
func (n *Node) previous(r store.Release) (manifest.CID, error) {
	if status, ok := n.activation(r.Model); ok && status.Recorded != nil {
		if status.Previous == nil || n.wayBackRevoked(status.Previous) {
			return manifest.CID{}, nil
		}
		return manifest.ParseCID(status.Previous.Release)
	}
	releases, err := n.store.Releases()
	if err != nil {
		return manifest.CID{}, err
	}
	var before manifest.CID
	for _, have := range releases { // in order of sequence
		if have.Model == r.Model && have.Sequence < r.Sequence && have.Manifest != r.Manifest && whole(have) && !n.revoked(have.Release) {
			before = have.Manifest
		}
	}
	return before, nil
}

// repin gives the releases of a model exactly the pins in keep; what this node
// published keeps that pin.
func (n *Node) repin(model manifest.Model, keep map[manifest.CID][]store.Pin) error {
	releases, err := n.store.Releases()
	if err != nil {
		return err
	}
	for _, r := range releases {
		if r.Model != model {
			continue
		}
		for _, p := range keep[r.Manifest] {
			if !slices.Contains(r.Pins, p) {
				err = errors.Join(err, n.store.Pin(r.Manifest, p))
			}
		}
		for _, p := range r.Pins {
			if p != store.PinPublished && !slices.Contains(keep[r.Manifest], p) {
				err = errors.Join(err, n.store.Unpin(r.Manifest, p))
			}
		}
	}
	return err
}
