package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
)

// rollback makes an earlier release active again, by an operator's word: the
// previous one, or the version that was asked for, if it is here whole.
func (n *Node) rollback(ctx context.Context, req api.ModelRequest, _ *api.Writer) (api.Model, error) {
	if err := req.Model.Validate(); err != nil {
		return api.Model{}, api.Errorf(api.CodeUsage, "%v", err)
	}
	n.restore(ctx)
	status, ok := n.activation(req.Model)
	if !ok || status.Recorded == nil {
		return api.Model{}, fmt.Errorf("%s: %w: nothing is active", req.Model, modelrt.ErrNoWayBack)
	}
	c, err := n.earlier(ctx, req, status)
	if err != nil {
		return api.Model{}, err
	}
	to, err := manifest.ParseCID(c.Release.Release)
	if err != nil {
		return api.Model{}, err
	}
	if err := n.store.Pin(to, store.PinActive); err != nil {
		return api.Model{}, err
	}
	if err := n.activator.RollBack(ctx, c); err != nil {
		if status.Previous == nil || status.Previous.Release != c.Release.Release {
			err = errors.Join(err, n.store.Unpin(to, store.PinActive))
		}
		return api.Model{}, err
	}
	n.board.touch()
	n.poke()
	models, err := n.models()
	if err != nil {
		return api.Model{}, err
	}
	for _, m := range models {
		if m.Model == req.Model {
			return m, nil
		}
	}
	return api.Model{Model: req.Model}, nil
}

// earlier finds the release to go back to.
func (n *Node) earlier(ctx context.Context, req api.ModelRequest, status modelrt.ModelStatus) (modelrt.Candidate, error) {
	if req.Version == "" {
		if status.Previous == nil {
			return modelrt.Candidate{}, fmt.Errorf("%s: %w", req.Model, modelrt.ErrNoWayBack)
		}
		return n.wayBack(ctx, *status.Previous)
	}
	releases, err := n.store.Releases()
	if err != nil {
		return modelrt.Candidate{}, err
	}
	for _, r := range releases {
		if r.Model != req.Model || r.Version != req.Version {
			continue
		}
		if n.revoked(r.Release) {
			return modelrt.Candidate{}, fmt.Errorf("%s: %w", r.Release, errRevoked)
		}
		m, err := n.manifest(r.Manifest)
		if err != nil {
			return modelrt.Candidate{}, err
		}
		for _, v := range r.Variants {
			if named, ok := m.Variant(v.Name); ok && v.Complete && n.runnable(named) == nil {
				return n.candidate(r.Release, v.Name)
			}
		}
	}
	return modelrt.Candidate{}, fmt.Errorf("%s@%s: %w: it is not here whole", req.Model, req.Version, modelrt.ErrNoWayBack)
}
