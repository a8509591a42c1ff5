package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// explainQuarantine adds what to do to an error of the activator.
func explainQuarantine(m manifest.Model, err error) error {
	if errors.Is(err, modelrt.ErrQuarantined) {
		return fmt.Errorf("%w; once the cause is removed, `dunlin retry %s` lets it be tried again", err, m)
	}
	return err
}

// quarantined returns why the runtime does not load the release any more; nil
// if it would.
func quarantined(status modelrt.ModelStatus, c manifest.CID) error {
	for _, at := range status.Failed {
		if at.Release.Release == c.String() && at.Quarantined() {
			return explainQuarantine(manifest.Model(at.Model), at.Quarantine())
		}
	}
	return nil
}

// retry has what failed for good tried again, by an operator's word: a release
// in quarantine, one that the engine refused, one whose wait is long, one that
// waits for the word of other nodes.
func (n *Node) retry(ctx context.Context, req api.RulesRequest, _ *api.Writer) ([]api.Model, error) {
	if err := checkModels(req.Models); err != nil {
		return nil, err
	}
	for _, text := range req.Models {
		if !n.ruled(manifest.Model(text)) {
			return nil, api.Errorf(api.CodeUsage, "%s is neither followed nor carried here: `dunlin follow %s` first", text, text)
		}
	}
	lost := false // something that was active does not serve
	for _, text := range req.Models {
		if err := n.activator.Forgive(ctx, text); err != nil {
			return nil, err
		}
		if latest, ok := n.trust.Latest(manifest.Model(text)); ok {
			n.flock.insist(latest.Manifest)
		}
		status, ok := n.activation(manifest.Model(text))
		lost = lost || (ok && status.Recorded != nil && status.Active == nil)
	}
	if _, err := n.running(); err == nil && lost {
		if err := n.restoreAgain(ctx); err != nil {
			return nil, err
		}
	}
	n.tryAgain(func(m manifest.Model) bool { return slices.Contains(req.Models, string(m)) })
	models, err := n.models()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(models, func(m api.Model) bool { return !slices.Contains(req.Models, string(m.Model)) }), nil
}
