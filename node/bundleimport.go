package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dunlin-mesh/dunlin/bundle"
	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

// importBundle takes from a file what it would take from peers:
//
//	rules     a model that is neither followed nor carried is refused
//	trust     the metadata goes through Registry.Apply; a release that is not
//	          signed then, or is not the newest, is not looked at
//	want      persisted, so that a crash leaves something to go on with
//	blocks    each against its CID
//	begin     room is checked, what is here already is taken
//	chunks    each against its digest; deltas decoded, what they make likewise
//
// After that the loop of what is wanted finds nothing missing, verifies whole
// files and activates what is followed; on a node that does not run it does so
// at its next start.
func (n *Node) importBundle(ctx context.Context, req api.BundleImportRequest, out *api.Writer) (_ api.BundleImported, err error) {
	if !filepath.IsAbs(req.Path) {
		return api.BundleImported{}, api.Errorf(api.CodeUsage, "path %q is not absolute", req.Path)
	}
	f, err := os.Open(req.Path)
	if err != nil {
		return api.BundleImported{}, api.Errorf(api.CodeUsage, "nothing to import: %v", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return api.BundleImported{}, api.Errorf(api.CodeUsage, "%s is no plain file", req.Path)
	}
	r, err := bundle.Open(f)
	if err != nil {
		return api.BundleImported{}, err
	}
	n.bundling.Lock()
	defer n.bundling.Unlock()
	temp := filepath.Join(n.dir, bundlesName)
	if err := durable.MkdirAll(temp, 0o700); err != nil {
		return api.BundleImported{}, err
	}
	in := &bundleImport{n: n, r: r, show: showing(out)}
	if err := in.checkRules(req.Carry); err != nil {
		return api.BundleImported{}, err
	}
	defer in.finish(ctx)
	if err := in.believe(ctx); err != nil {
		return api.BundleImported{}, err
	}
	if err := in.decide(req.Carry); err != nil {
		return api.BundleImported{}, err
	}
	for i := range in.plans {
		if err := in.release(ctx, i); err != nil {
			return api.BundleImported{}, err
		}
	}
	if err := r.End(); err != nil {
		return api.BundleImported{}, err
	}
	result := api.BundleImported{Releases: []api.ImportedRelease{}}
	for _, p := range in.plans {
		result.Releases = append(result.Releases, p.result)
	}
	return result, nil
}

// bundleImport is an import under way.
type bundleImport struct {
	n     *Node
	r     *bundle.Reader
	show  func(what string, done, total int64)
	plans []importPlan // of each release in the bundle
	news  []trust.Fingerprint
	whys  map[string]error // why metadata of a publisher brought nothing, by name
	held  []manifest.CID   // what the loop of what is wanted leaves alone meanwhile
}

// importPlan is what becomes of one release.
type importPlan struct {
	take   bool
	want   want
	result api.ImportedRelease
}

// checkRules refuses a bundle of which no rule asks for anything.
func (in *bundleImport) checkRules(carry bool) error {
	var names []string
	ruled := false
	for _, rel := range in.r.Root().Releases {
		names = append(names, string(rel.Model))
		ruled = ruled || in.n.ruled(rel.Model)
	}
	if ruled || carry || len(names) == 0 {
		return nil
	}
	return api.Errorf(api.CodeUsage, "none of the models in it is followed or carried here: `dunlin follow %s` first to run it, or import with --carry to pass on what it brings (%d models)", names[0], len(names))
}

// believe has the metadata of all publishers verified.
func (in *bundleImport) believe(ctx context.Context) error {
	in.whys = make(map[string]error)
	for i, p := range in.r.Root().Publishers {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := in.r.Update(i)
		if err != nil {
			return err
		}
		fp := trust.Fingerprint(p.Fingerprint)
		update, err := trust.DecodeUpdate(data)
		if err != nil {
			return fmt.Errorf("metadata of %s: %w", p.Name, err)
		}
		if update.Publisher != fp {
			return fmt.Errorf("%w: metadata of %s is of publisher %s, not %s", bundle.ErrMalformed, p.Name, update.Publisher, fp)
		}
		changed, err := in.n.trust.Apply(fp, update)
		switch {
		case errors.Is(err, trust.ErrUnknown):
			in.whys[p.Name] = api.Errorf(api.CodeUnverified, "publisher %s with the fingerprint %s is not pinned on this node: compare it with what the publisher says, then `dunlin trust add`", p.Name, fp)
		case errors.Is(err, trust.ErrForged), errors.Is(err, trust.ErrMalformed):
			return fmt.Errorf("metadata of %s: %w", p.Name, err)
		case err != nil:
			in.whys[p.Name] = err
		case changed:
			in.news = append(in.news, fp)
		}
	}
	return nil
}

// decide says of each release whether it is taken, and makes rules for what is
// only to be carried. A release that is asked for and not signed ends the
// import.
func (in *bundleImport) decide(carry bool) error {
	for _, rel := range in.r.Root().Releases {
		r := store.Release{Model: rel.Model, Version: rel.Version, Sequence: rel.Sequence, Manifest: rel.Manifest}
		p := importPlan{result: api.ImportedRelease{Model: r.Model, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest, State: api.ImportRefused}}
		if !in.n.ruled(r.Model) && !carry {
			p.result.Reason = fmt.Sprintf("neither followed nor carried here: `dunlin follow %s`, or import with --carry", r.Model)
			in.plans = append(in.plans, p)
			continue
		}
		if err := in.signed(r); err != nil {
			return err
		}
		latest, ok := in.n.trust.Latest(r.Model)
		switch {
		case in.n.revoked(r):
			p.result.Reason = "its publisher took it back"
		case ok && latest.Manifest != r.Manifest:
			p.result.Reason = fmt.Sprintf("a newer release is known here, %s, which is waited for", latest.Version)
		default:
			p.take, p.want = true, want{Release: r, purpose: toCarry}
			p.want.Sequence = latest.Sequence // the record says so, not the bundle
			if in.n.rules.follows(r.Model) {
				p.want.purpose = toRun
			}
		}
		if p.take && !in.n.ruled(r.Model) {
			if err := in.n.rules.carry([]string{string(r.Model)}, limitChange{}); err != nil {
				return err
			}
		}
		in.plans = append(in.plans, p)
	}
	for _, p := range in.plans {
		if p.take {
			in.held = append(in.held, p.want.Manifest)
		}
	}
	in.n.imports.hold(in.held)
	in.n.poke() // so that who fetches them now stops
	return nil
}

// signed returns nil if the release's publisher signed for it.
func (in *bundleImport) signed(r store.Release) error {
	known, ok := in.n.trust.Release(r.Model, r.Version)
	if ok && known.Manifest == r.Manifest {
		return nil
	}
	if why := in.whys[r.Model.Publisher()]; why != nil {
		return why
	}
	if ok {
		return api.Errorf(api.CodeUnverified, "%s is another release than the one that its publisher signed under this version: nothing of it was taken", r)
	}
	return api.Errorf(api.CodeUnverified, "%s is not signed by any publisher that this node believes: nothing of it was taken (see `dunlin trust ls`)", r)
}

// release takes or skips release i.
func (in *bundleImport) release(ctx context.Context, i int) error {
	p := &in.plans[i]
	if !p.take {
		return in.r.SkipRelease(i)
	}
	w, rel := p.want, in.r.Root().Releases[i]
	log := in.n.log.With(slog.String("model", string(w.Model)), slog.String("version", w.Version))
	if err := in.n.store.SetWant(w.Release); err != nil {
		return err
	}
	m, err := in.r.Blocks(ctx, i, in.n.store)
	if err != nil {
		return fmt.Errorf("%s: %w", w.Release, err)
	}
	if err := in.n.admit(w); errors.Is(err, errCarryQuota) {
		p.result.Reason = err.Error()
		return in.files(ctx, i, nil)
	} else if err != nil {
		return err
	}
	variants, err := in.n.needed(m, w)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(variants))
	for _, v := range variants {
		if slices.Contains(rel.Variants, v.Name) {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		p.result.Reason = "it brings no variant that is of use here"
	} else if err := in.n.store.Begin(ctx, w.Release, names); err != nil {
		return err
	}
	use := make(map[manifest.FileID]bool)
	if len(names) > 0 {
		for _, name := range slices.Concat(names, []string{store.Golden, store.Report}) {
			for _, f := range filesOf(m, name) {
				use[f.ID()] = true
			}
		}
	}
	if err := in.files(ctx, i, use); err != nil {
		return fmt.Errorf("%s: %w", w.Release, err)
	}
	if len(names) == 0 {
		return nil
	}
	p.result.State, p.result.Variants = api.ImportDone, names
	if p.result.MissingBytes > 0 {
		p.result.State = api.ImportPartial
	}
	log.Info("release imported", slog.Uint64("bytes", p.result.Bytes), slog.Uint64("missing_bytes", p.result.MissingBytes))
	return nil
}

// files takes the files in use and skips the others.
func (in *bundleImport) files(ctx context.Context, i int, use map[manifest.FileID]bool) error {
	result, rel := &in.plans[i].result, in.r.Root().Releases[i]
	decoder := &deltaMaker{n: in.n}
	for k, f := range rel.Files {
		if !use[f.ID] {
			if err := in.r.SkipFile(i, k); err != nil {
				return err
			}
			continue
		}
		report, err := in.r.File(ctx, i, k, in.n.store, decoder, func() {
			at, size := in.r.Position()
			in.show("importing", at, size)
		})
		result.Chunks, result.Bytes, result.HeldChunks = result.Chunks+report.Chunks, result.Bytes+report.Bytes, result.HeldChunks+report.Held
		if errors.Is(err, bundle.ErrLacks) {
			result.Reason = err.Error()
		} else if err != nil {
			return errors.Join(err, in.n.store.Flush(ctx))
		}
	}
	if err := in.n.store.Flush(ctx); err != nil {
		return err
	}
	for k, f := range rel.Files {
		if !use[f.ID] {
			continue
		}
		missing, err := in.r.Missing(i, k, in.n.store)
		if err != nil {
			return err
		}
		result.MissingBytes += missing
		if net := in.n.net.Load(); net != nil {
			net.transfer.Changed(f.ID)
		}
	}
	if result.MissingBytes > 0 && result.Reason == "" {
		result.Reason = "it leaves out what this node does not hold either"
	}
	return nil
}

// finish lets the loop of what is wanted go on and tells peers what is new.
func (in *bundleImport) finish(ctx context.Context) {
	in.n.imports.release(in.held)
	in.n.tryAgain(func(m manifest.Model) bool {
		return slices.ContainsFunc(in.plans, func(p importPlan) bool { return p.take && p.want.Model == m })
	})
	in.n.heard()
	net := in.n.net.Load()
	if net == nil {
		return
	}
	for _, head := range in.n.trust.Heads() {
		if !slices.Contains(in.news, head.Publisher) {
			continue
		}
		if err := net.gossip.Announce(ctx, head); err != nil {
			in.n.log.Warn("what a bundle brought is not announced, peers learn of it when they next ask", slog.Any("error", err))
		}
	}
}

// imports are the releases that a bundle brings just now: nobody fetches them
// meanwhile. The zero value is ready for use. Safe for concurrent use.
type imports struct {
	mu    sync.Mutex // owns the rest
	count map[manifest.CID]int
}

func (h *imports) hold(releases []manifest.CID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count == nil {
		h.count = make(map[manifest.CID]int)
	}
	for _, c := range releases {
		h.count[c]++
	}
}

func (h *imports) release(releases []manifest.CID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range releases {
		if h.count[c]--; h.count[c] == 0 {
			delete(h.count, c)
		}
	}
}

// has says whether a bundle brings the release just now.
func (h *imports) has(c manifest.CID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count[c] > 0
}
