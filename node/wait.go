package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// wait returns when the release is here, whole, and active if it can be. A
// release that failed for good, was replaced by a newer one or taken back, is
// a failure; everything else is waited for.
func (n *Node) wait(ctx context.Context, req api.WaitRequest, out *api.Writer) (api.Model, error) {
	if err := req.Model.Validate(); err != nil {
		return api.Model{}, err
	}
	if _, err := n.running(); err != nil {
		return api.Model{}, err
	}
	n.hurry()
	if !n.rules.follows(req.Model) && !n.rules.carries(req.Model) {
		return api.Model{}, api.Errorf(api.CodeUsage, "%s is neither followed nor carried here: `dunlin follow %s` first", req.Model, req.Model)
	}
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Timeout)
		defer cancel()
	}
	var told api.Progress
	for {
		_, changed := n.board.get(req.Model)
		now, err := n.model(req)
		if err != nil {
			return now, err
		}
		done, err := n.arrived(req, now)
		if done || err != nil {
			return now, err
		}
		if p := (api.Progress{What: string(now.State), Done: int64(now.HeldBytes), Total: int64(now.TotalBytes)}); p != told {
			out.Progress(p)
			told = p
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return now, api.Errorf(n.waitCode(now), "%s is not here after %s: %s", wanted(req), req.Timeout, explain(now))
			}
			return now, ctx.Err()
		}
	}
}

func (n *Node) model(req api.WaitRequest) (api.Model, error) {
	releases, err := n.store.Releases()
	if err != nil {
		return api.Model{}, err
	}
	held := releases[:0]
	for _, r := range releases {
		if r.Model == req.Model {
			held = append(held, r)
		}
	}
	return n.describeModel(req.Model, held), nil
}

// arrived says whether what is waited for is here.
func (n *Node) arrived(req api.WaitRequest, now api.Model) (bool, error) {
	if req.Version != "" {
		if r, ok := n.trust.Release(req.Model, req.Version); ok && r.Revoked {
			return false, fmt.Errorf("%s was taken back by its publisher", wanted(req))
		}
	}
	if now.Latest == nil {
		return false, nil
	}
	if req.Version != "" && now.Latest.Version != req.Version {
		if r, ok := n.trust.Release(req.Model, req.Version); ok && r.Sequence < now.Latest.Sequence {
			return false, fmt.Errorf("%s was replaced by %s, which is fetched instead", wanted(req), now.Latest.Version)
		}
		return false, nil // not heard of yet
	}
	if e, _ := n.board.get(req.Model); now.State == api.StateFailed && e.final {
		return false, api.Errorf(e.code, "%s", e.reason)
	}
	return now.State == api.StateCurrent && now.Latest.Complete, nil
}

func wanted(req api.WaitRequest) string {
	if req.Version == "" {
		return string(req.Model)
	}
	return string(req.Model) + "@" + req.Version
}

func explain(m api.Model) string {
	switch {
	case m.Reason != "":
		return m.Reason
	case m.Latest == nil:
		return "no release was heard of; is its publisher pinned (`dunlin trust ls`) and a peer at hand (`dunlin peers`)?"
	case m.State == api.StateWaiting:
		return "no peer at hand holds it"
	}
	return fmt.Sprintf("%s, %d of %d bytes here, newest version known is %s", m.State, m.HeldBytes, m.TotalBytes, m.Latest.Version)
}

// waitCode says whether a budget or the operator's word is missing, or a peer.
func (n *Node) waitCode(now api.Model) api.Code {
	if now.Latest != nil && now.State == api.StateWaiting {
		if _, budget := n.waits(now.Latest.Manifest); budget {
			return api.CodeBudget
		}
	}
	return api.CodeUnreachable
}
