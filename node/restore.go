package node

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
)

// activation returns what the runtime knows about the model.
func (n *Node) activation(m manifest.Model) (modelrt.ModelStatus, bool) {
	for _, status := range n.activator.Status() {
		if status.Model == string(m) {
			return status, true
		}
	}
	return modelrt.ModelStatus{}, false
}

// restoreAgain is restore although it was done: what could not be brought back
// then may be now.
func (n *Node) restoreAgain(ctx context.Context) error {
	select {
	case n.restoring <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	n.restored = false
	<-n.restoring
	n.restore(ctx)
	return ctx.Err()
}

// restore brings back, once, what was active when the node last ended. A caller
// that gives up in the middle leaves the rest to the next one.
func (n *Node) restore(ctx context.Context) {
	select {
	case n.restoring <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-n.restoring }()
	if n.restored {
		return
	}
	err := n.activator.Restore(ctx, n.wayBack)
	n.restored = ctx.Err() == nil
	if err != nil {
		n.log.Warn("what was active could not be brought back", slog.Any("error", err))
	}
	n.board.touch()
}

// wayBack finds the files of a release that the runtime has recorded.
func (n *Node) wayBack(_ context.Context, r modelrt.Release) (modelrt.Candidate, error) {
	c, err := manifest.ParseCID(r.Release)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	if n.wayBackRevoked(&r) {
		return modelrt.Candidate{}, fmt.Errorf("%s@%s: %w", r.Model, r.Version, errRevoked)
	}
	return n.candidate(store.Release{Model: manifest.Model(r.Model), Version: r.Version, Sequence: r.Sequence, Manifest: c}, r.Variant)
}
