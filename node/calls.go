package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

// createPublisher makes keys and a root for a new publisher, and pins it here.
func (n *Node) createPublisher(_ context.Context, req api.PublisherRequest, _ *api.Writer) (api.PublisherRoot, error) {
	if err := manifest.ValidatePublisher(req.Name); err != nil {
		return api.PublisherRoot{}, err
	}
	if p, ok := n.trust.Publisher(req.Name); ok {
		if _, own := n.keys.root(req.Name); !own {
			return api.PublisherRoot{}, fmt.Errorf("publisher %s: %w: it has the fingerprint %s", req.Name, trust.ErrPinned, p.Fingerprint)
		}
	}
	root, err := n.keys.create(req.Name, n.id.String(), time.Now())
	if err != nil {
		return api.PublisherRoot{}, err
	}
	if _, err := n.trust.Pin(root); err != nil {
		return api.PublisherRoot{}, err
	}
	n.tellPins()
	return describeRoot(req.Name, root), nil
}

func describeRoot(name string, root []byte) api.PublisherRoot {
	return api.PublisherRoot{Name: name, Fingerprint: trust.SumFingerprint(root).String(), Root: root}
}

// exportPublisher gives out what other nodes need to pin the publisher.
func (n *Node) exportPublisher(_ context.Context, req api.PublisherRequest, _ *api.Writer) (api.PublisherRoot, error) {
	if root, ok := n.keys.root(req.Name); ok {
		return describeRoot(req.Name, root), nil
	}
	signer, err := n.keys.open(req.Name) // says why the keys are not known
	if err != nil {
		return api.PublisherRoot{}, err
	}
	return describeRoot(req.Name, signer.Root()), signer.Close()
}

// pin makes this node believe a publisher.
func (n *Node) pin(_ context.Context, req api.TrustRequest, _ *api.Writer) (api.Publisher, error) {
	var p trust.Publisher
	var err error
	if len(req.Root) > 0 {
		p, err = n.trust.Pin(req.Root)
	} else {
		fp, parseErr := trust.ParseFingerprint(req.Fingerprint)
		if parseErr != nil {
			return api.Publisher{}, api.Errorf(api.CodeUsage, "%v", parseErr)
		}
		p, err = n.trust.PinFingerprint(req.Name, fp)
	}
	if err != nil {
		return api.Publisher{}, err
	}
	n.tellPins()
	signal(n.ask)
	return n.describePublisher(p, nil), nil
}

// publishers lists whom this node believes.
func (n *Node) publishers(context.Context, none, *api.Writer) ([]api.Publisher, error) {
	evidence, err := n.trust.Evidence()
	if err != nil {
		return nil, err
	}
	list := []api.Publisher{}
	for _, p := range n.trust.Publishers() {
		list = append(list, n.describePublisher(p, evidence))
	}
	return list, nil
}

func (n *Node) describePublisher(p trust.Publisher, evidence []trust.Evidence) api.Publisher {
	out := api.Publisher{
		Name: p.Name, Fingerprint: p.Fingerprint.String(), Known: p.Root > 0,
		Version: p.Timestamp, Expires: p.Expires, Stale: p.Stale, Models: []string{},
	}
	if root, ok := n.keys.root(p.Name); ok {
		out.Own = trust.SumFingerprint(root) == p.Fingerprint
	}
	for _, m := range n.trust.Models() {
		if m.Publisher() == p.Name {
			out.Models = append(out.Models, string(m))
		}
	}
	for _, e := range evidence {
		if e.Publisher == p.Fingerprint {
			out.Evidence++
		}
	}
	if p.Problem != nil {
		out.Problem = p.Problem.Error()
	}
	return out
}

func (n *Node) getRules(context.Context, none, *api.Writer) (api.Rules, error) {
	rules := api.Rules{Follow: []string{}, Carry: n.rules.patterns(), CarryRules: n.carryRules()}
	for _, m := range n.rules.followed() {
		rules.Follow = append(rules.Follow, string(m))
	}
	return rules, nil
}

func (n *Node) follow(ctx context.Context, req api.RulesRequest, out *api.Writer) (api.Rules, error) {
	if req.Priority != nil {
		if err := n.setPriority(req.Models, *req.Priority); err != nil {
			return api.Rules{}, err
		}
	}
	if err := n.rules.follow(req.Models); err != nil {
		return api.Rules{}, err
	}
	n.tryAgain(func(m manifest.Model) bool { return slices.Contains(req.Models, string(m)) })
	return n.getRules(ctx, none{}, out)
}

// tryAgain looks at the wants again, those that failed included: somebody has
// just asked for their models.
func (n *Node) tryAgain(match func(manifest.Model) bool) {
	n.forgetFailed()
	n.retries.forgive(match)
	n.board.reopen(match)
	n.hurry()
	n.poke()
}

func (n *Node) carry(ctx context.Context, req api.CarryRequest, out *api.Writer) (api.Rules, error) {
	if len(req.Models) == 0 {
		return api.Rules{}, api.Errorf(api.CodeUsage, "no pattern to carry")
	}
	if req.Expires != nil && !req.Expires.IsZero() && !req.Expires.After(time.Now()) {
		return api.Rules{}, api.Errorf(api.CodeUsage, "the rule would have expired at %s, before now", req.Expires.Format(time.RFC3339))
	}
	if err := n.rules.carry(req.Models, limitChange{req.QuotaBytes, req.Expires}); err != nil {
		return api.Rules{}, err
	}
	n.tryAgain(func(m manifest.Model) bool { return matches(req.Models, m) })
	return n.getRules(ctx, none{}, out)
}

// unfollow drops rules; models without any rule left stop serving and lose
// their pins, so that their room can be given back.
func (n *Node) unfollow(ctx context.Context, req api.RulesRequest, out *api.Writer) (api.Rules, error) {
	dropped, err := n.rules.drop(req.Models)
	if err != nil {
		return api.Rules{}, err
	}
	for _, text := range req.Models {
		if !slices.Contains(dropped, text) {
			err = errors.Join(err, api.Errorf(api.CodeUsage, "%s is neither followed nor carried", text))
		}
	}
	_, settleErr := n.settleRules(ctx, dropped)
	// What failed to run may still be carried.
	n.tryAgain(func(m manifest.Model) bool { return slices.Contains(dropped, string(m)) })
	if err := errors.Join(err, settleErr); err != nil {
		return api.Rules{}, err
	}
	return n.getRules(ctx, none{}, out)
}

// settleRules ends what the node does for models that no rule asks for any more,
// and returns all models that it looked at.
func (n *Node) settleRules(ctx context.Context, dropped []string) (map[manifest.Model]bool, error) {
	releases, err := n.store.Releases()
	models := make(map[manifest.Model]bool)
	for _, r := range releases {
		models[r.Model] = true
	}
	for _, status := range n.activator.Status() {
		models[manifest.Model(status.Model)] = true
	}
	for _, text := range dropped {
		models[manifest.Model(text)] = true // a pattern is the name of no model and harmless here
	}
	for m := range models {
		err = errors.Join(err, n.letGo(ctx, m))
	}
	for _, w := range n.store.Wants() {
		if !n.ruled(w.Model) {
			err = errors.Join(err, n.store.ClearWant(w.Manifest))
		}
	}
	return models, err
}

// path tells where the files of a release lie: those of the given version, or
// else of the active release, or else of the newest that is here whole.
func (n *Node) path(_ context.Context, req api.ModelRequest, _ *api.Writer) (api.PathResult, error) {
	if err := req.Model.Validate(); err != nil {
		return api.PathResult{}, err
	}
	r, active, err := n.pick(req.Model, req.Version)
	if err != nil {
		return api.PathResult{}, err
	}
	variant := n.variantOf(r)
	at, err := n.store.Locate(r.Manifest, variant)
	if err != nil {
		return api.PathResult{}, err
	}
	out := api.PathResult{
		Model: r.Model, Version: r.Version, Sequence: r.Sequence, Variant: variant, Active: active, Dir: at.Dir, Files: []api.PathFile{},
	}
	for _, f := range at.Files {
		out.Files = append(out.Files, api.PathFile{Name: f.Path, Path: f.FullPath, Size: f.Size})
	}
	return out, nil
}

// variantOf returns the variant of a release that people mean: the one that
// serves, or else the first that is here.
func (n *Node) variantOf(r store.ReleaseState) string {
	if status, ok := n.activation(r.Model); ok && status.Recorded != nil && status.Recorded.Release == r.Manifest.String() {
		return status.Recorded.Variant
	}
	return mainVariant(r)
}

// mainVariant returns the first variant that is neither the golden set nor the
// report; empty if there is none.
func mainVariant(r store.ReleaseState) string {
	for _, v := range r.Variants {
		if v.Name != store.Golden && v.Name != store.Report {
			return v.Name
		}
	}
	return ""
}

// pick returns the release that people mean by a model, and a version or none.
func (n *Node) pick(m manifest.Model, version string) (store.ReleaseState, bool, error) {
	releases, err := n.store.Releases()
	if err != nil {
		return store.ReleaseState{}, false, err
	}
	var serving string
	if status, ok := n.activation(m); ok && status.Recorded != nil {
		serving = status.Recorded.Release
	}
	var best *store.ReleaseState
	for i := range releases { // in order of sequence
		r := &releases[i]
		if r.Model != m || !whole(*r) || (version != "" && r.Version != version) {
			continue
		}
		if version == "" && r.Manifest.String() == serving {
			return *r, true, nil
		}
		best = r
	}
	if best == nil {
		name := string(m)
		if version != "" {
			name += "@" + version
		}
		return store.ReleaseState{}, false, api.Errorf(api.CodeUnreachable, "no whole release of %s is on this node: follow or carry it, then `dunlin wait %s`", name, name)
	}
	return *best, best.Manifest.String() == serving, nil
}

// verify reads every release of a model (all models if it is empty) that is
// here whole, or was and is meant to stay, and compares it with its manifest.
func (n *Node) verify(ctx context.Context, req api.ModelRequest, out *api.Writer) (api.VerifyResult, error) {
	releases, err := n.store.Releases()
	if err != nil {
		return api.VerifyResult{}, err
	}
	result := api.VerifyResult{Checked: []api.Release{}}
	var total uint64
	for _, r := range releases {
		if selects(req, r) {
			for _, v := range r.Variants {
				total += v.Bytes
			}
		}
	}
	for _, r := range releases {
		if !selects(req, r) {
			continue
		}
		for _, v := range r.Variants {
			err := n.store.Verify(ctx, r.Manifest, v.Name, func(bytes int64) {
				result.Bytes += uint64(bytes)
				out.Progress(api.Progress{What: "verifying", Done: int64(result.Bytes), Total: int64(total)})
			})
			if ctx.Err() != nil {
				return result, ctx.Err()
			}
			if err != nil {
				result.Bad = append(result.Bad, fmt.Sprintf("%s %s: %v", r.Release, v.Name, err))
			}
		}
		result.Checked = append(result.Checked, describeRelease(r))
	}
	if len(result.Checked) == 0 && req.Model != "" {
		return result, api.Errorf(api.CodeUnreachable, "no release of %s is on this node", req.Model)
	}
	return result, nil
}

func selects(req api.ModelRequest, r store.ReleaseState) bool {
	return (req.Model == "" || r.Model == req.Model) && (req.Version == "" || r.Version == req.Version) &&
		(whole(r) || len(r.Pins) > 0)
}

func (n *Node) fsck(ctx context.Context, _ none, out *api.Writer) (api.FsckResult, error) {
	usage, err := n.store.Usage()
	if err != nil {
		return api.FsckResult{}, err
	}
	var done int64
	report, err := n.store.Fsck(ctx, store.FsckOptions{Progress: func(bytes int64) {
		done += bytes
		out.Progress(api.Progress{What: "checking", Done: done, Total: int64(usage.FileBytes)})
	}})
	if err != nil {
		return api.FsckResult{}, err
	}
	n.poke()
	return FsckResult(report), nil
}

// FsckResult says for people and scripts what a check of the store found.
func FsckResult(r store.FsckReport) api.FsckResult {
	out := api.FsckResult{Chunks: r.Chunks, Rotten: r.Rotten, Bytes: r.Bytes, Releases: r.Releases, Clean: r.Clean(), Problems: []string{}}
	add := func(format string, args ...any) { out.Problems = append(out.Problems, fmt.Sprintf(format, args...)) }
	if r.Rotten > 0 {
		add("%d chunks are rotten; they will be fetched again", r.Rotten)
	}
	if r.BadBlocks > 0 {
		add("%d blocks were bad and are removed", r.BadBlocks)
	}
	if r.MissingBlocks > 0 {
		add("%d blocks are missing; they will be fetched again", r.MissingBlocks)
	}
	for _, name := range r.MissingFiles {
		add("file is missing: %s", name)
	}
	for _, name := range r.Orphans {
		add("no release owns %s; `dunlin gc` removes it", name)
	}
	for _, name := range r.BadReleases {
		add("cannot read the release of %s", name)
	}
	return out
}

func (n *Node) gc(ctx context.Context, _ none, _ *api.Writer) (api.GCResult, error) {
	report, err := n.store.GC(ctx)
	if err != nil {
		return api.GCResult{}, err
	}
	compiled, err := n.removeCompiled(time.Now())
	if err != nil {
		return api.GCResult{}, err
	}
	return api.GCResult{
		Releases: len(report.Releases), Blocks: report.Blocks, Orphans: report.Orphans, Bytes: report.Bytes, CompiledBytes: compiled,
	}, nil
}
