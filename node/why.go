package node

import (
	"context"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// why tells how this node chooses among the variants of a release: the whole
// table, and what serves. The manifest comes from a peer if it is not here;
// nothing else is fetched.
func (n *Node) why(ctx context.Context, req api.ModelRequest, _ *api.Writer) (api.Why, error) {
	r, err := n.knownRelease(req)
	if err != nil {
		return api.Why{}, err
	}
	n.look(ctx)
	m := (&planner{node: n, net: n.net.Load()}).manifest(ctx, r)
	if m == nil {
		return api.Why{}, api.Errorf(api.CodeUnreachable, "the manifest of %s@%s is not here, and no peer at hand gave it", r.Model, r.Version)
	}
	out := api.Why{Model: r.Model, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest, Decision: n.decide(m, r.Manifest)}
	if active, ok := n.activator.Active(string(r.Model)); ok {
		out.Serving = &api.WhyServing{Version: active.Version, Variant: active.Variant, Provider: n.placed.of(active.Path()), Since: active.ActiveSince}
	}
	e, _ := n.board.get(r.Model)
	switch {
	case n.engine.Info().Reason != "":
		out.Note = "nothing is run here: " + n.engine.Info().Reason
	case !n.rules.follows(r.Model):
		out.Note = "this model is not followed here: this is what would be chosen"
	case out.Decision.Chosen == "":
		out.Note = "what serves, if anything, stays"
	case out.Serving != nil && out.Serving.Version == r.Version && out.Serving.Variant == out.Decision.Chosen:
	case e.reason != "":
		out.Note = "the chosen variant does not serve: " + e.reason
	default:
		out.Note = "the chosen variant does not serve yet: `dunlin wait " + string(r.Model) + "`"
	}
	return out, nil
}
