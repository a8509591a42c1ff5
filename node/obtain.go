package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// What makes a signed release useless here, whatever is tried.
var (
	errWrongModel = errors.New("manifest is of another model")
	errNoVariant  = errors.New("no variant fits this machine")
	errRevoked    = errors.New("its publisher took it back")
)

// obtain brings the release here and, if it is followed and can run, makes it
// active. Whatever it stops at, the next call goes on from there.
func (n *Node) obtain(ctx context.Context, net *online, w want) error {
	n.tell(w, entry{state: api.StateWaiting})
	if w.purpose != toRepair { // what is repaired has its pins
		if err := n.store.SetWant(w.Release); err != nil {
			return err
		}
	}
	defer n.paths.begin(w)()
	errand := net.transfer.Join(w.Manifest)
	defer errand.Leave()
	if err := net.transfer.Blocks(ctx, errand, []manifest.CID{w.Manifest}); err != nil {
		return fmt.Errorf("fetch manifest: %w", err)
	}
	m, err := n.manifest(w.Manifest)
	if err != nil {
		return err
	}
	if m.Model != w.Model {
		return fmt.Errorf("release %s: %w: %s", w.Release, errWrongModel, m.Model)
	}
	if err := n.admit(w); err != nil {
		return err
	}
	total, err := n.bringVariants(ctx, net, w, errand, m)
	if err != nil {
		return err
	}
	if w.purpose == toRepair {
		return nil
	}
	if err := n.keep(w); err != nil {
		return err
	}
	n.tell(w, entry{state: api.StateCurrent, done: total, total: total})
	return nil
}

// bringVariants fetches what w needs of the release and makes it active, where it
// is followed. A variant that cannot be loaded here makes way for the next one
// that can. It returns the bytes that are here then.
func (n *Node) bringVariants(ctx context.Context, net *online, w want, errand transfer.Errand, m *manifest.Manifest) (uint64, error) {
	for {
		variants, err := n.needed(m, w)
		if err != nil {
			return 0, err
		}
		if len(variants) == 0 {
			return 0, fmt.Errorf("release %s: %w: it has %d, see `dunlin why %s`", w.Release, errNoVariant, len(m.Variants), w.Model)
		}
		if err := n.fetch(ctx, net, w, errand, m, variants); err != nil {
			return 0, err
		}
		total, failed, err := n.installAll(ctx, w, variants)
		if err == nil {
			if w.purpose == toRun {
				n.measureLatency(ctx, m, w, variants[0])
			}
			return total, nil
		}
		if failed == "" || !n.cannotLoad(m, w.Manifest, failed, err) {
			return 0, err
		}
		n.log.Warn("a variant cannot be loaded here, taking another", slog.String("model", string(w.Model)),
			slog.String("version", w.Version), slog.String("variant", failed), slog.Any("error", err))
	}
}

// installAll installs variants one after another. It names the one that cannot be
// loaded on this machine, if that is what failed.
func (n *Node) installAll(ctx context.Context, w want, variants []manifest.Variant) (total uint64, failed string, err error) {
	for _, v := range variants {
		total += v.Size()
		n.tell(w, entry{state: api.StateVerifying, done: total, total: total})
		if err := n.install(ctx, w, v); err != nil {
			if w.purpose == toRun && variantFault(err) {
				failed = v.Name
			}
			return total, failed, err
		}
	}
	return total, "", nil
}

// variantFault says whether another variant of the same release may do better.
func variantFault(err error) bool {
	for _, target := range []error{modelrt.ErrLoad, modelrt.ErrProbe, modelrt.ErrProvider, modelrt.ErrGolden, modelrt.ErrEntry, modelrt.ErrQuarantined} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// tell shows people where the model stands; a repair of some release is no
// news about the newest one.
func (n *Node) tell(w want, e entry) {
	n.paths.came(w.Manifest, e.done)
	if w.purpose != toRepair {
		e.version = w.Version
		n.board.set(w.Model, e)
	}
}

// fetch brings the chunks of the variants here.
func (n *Node) fetch(ctx context.Context, net *online, w want, errand transfer.Errand, m *manifest.Manifest, variants []manifest.Variant) error {
	var files []manifest.File
	var names []string
	for _, v := range variants {
		files = append(files, v.Files...)
		names = append(names, v.Name)
	}
	files = append(files, m.Golden...)
	if m.Report != nil {
		files = append(files, *m.Report)
	}
	if err := net.transfer.Trees(ctx, errand, files); err != nil {
		return fmt.Errorf("fetch layouts and digests: %w", err)
	}
	if err := n.store.Begin(ctx, w.Release, names); err != nil {
		return err
	}
	var total uint64
	for _, f := range files {
		total += f.Size
	}
	for _, f := range files { // some chunks may have been here, in other files
		net.transfer.Changed(f.ID())
	}
	n.tell(w, entry{state: api.StateFetching, total: total})
	job := transfer.Job{
		Release: w.Manifest, Files: files, Errand: errand,
		Progress: func(p transfer.Progress) {
			e := entry{state: api.StateFetching, done: total - p.WantedBytes + p.StoredBytes, total: total}
			if p.Holders == 0 && p.StoredBytes < p.WantedBytes {
				e.state = api.StateWaiting
			}
			n.tell(w, e)
		},
	}
	if err := n.bring(ctx, net, w, m, job); err != nil {
		return fmt.Errorf("fetch %s: %w", w.Release, err)
	}
	return nil
}

// bring gets what is missing, the cheapest way first:
//
//	what peers of this site have or are getting: chunks, from them
//	otherwise, when it is this node's turn to ask outside: deltas, then chunks
//	where nobody of the site has contact with the outside, or its own link is
//	    slow: deltas from anybody, then chunks
func (n *Node) bring(ctx context.Context, net *online, w want, m *manifest.Manifest, job transfer.Job) error {
	for slow := false; ; {
		turn, _ := job.Errand.Turn()
		outside := !slow && !turn.Isolated
		n.log.Debug("getting a release", slog.String("model", string(w.Model)), slog.Bool("turn", turn.Outside),
			slog.Any("sharers", turn.Sharers), slog.Bool("isolated", turn.Isolated), slog.Bool("slow", slow))
		if outside {
			inside := job
			inside.Inside, inside.Lead = true, n.mayComeAsDelta(w, m, job.Files)
			err := net.transfer.Fetch(ctx, inside)
			if slow = errors.Is(err, transfer.ErrSlow); slow {
				n.log.Info("the link inside the site is slow", slog.String("model", string(w.Model)))
				continue
			}
			if !errors.Is(err, transfer.ErrTurn) {
				return err
			}
			n.log.Debug("fetching from outside", slog.String("model", string(w.Model)))
		}
		err := n.byDelta(ctx, net, w, m, job, outside)
		if errors.Is(err, transfer.ErrTurn) {
			continue
		}
		if err != nil {
			return err
		}
		if err = n.inFull(ctx, net, w, job); !errors.Is(err, errAskAgain) {
			return err
		}
	}
}

// needed returns the variants that this node needs of a release: the chosen one
// to run it, those that were begun to repair it, all of them to carry it.
func (n *Node) needed(m *manifest.Manifest, w want) ([]manifest.Variant, error) {
	switch w.purpose {
	case toRun:
		return n.choose(m, w.Manifest), nil
	case toCarry:
		return m.Variants, nil
	}
	releases, err := n.store.Releases()
	if err != nil {
		return nil, err
	}
	var begun []manifest.Variant
	for _, r := range releases {
		for _, v := range r.Variants {
			if named, ok := m.Variant(v.Name); ok && r.Manifest == w.Manifest {
				begun = append(begun, named)
			}
		}
	}
	return begun, nil
}

// runsFormat is the format that engines here run.
const runsFormat = "onnx"

// runnable returns nil if this node's engine runs the variant, or the reason
// why it does not.
func (n *Node) runnable(v manifest.Variant) error {
	if reason := n.engine.Info().Reason; reason != "" {
		return modelrt.NoRuntime(errors.New(reason))
	}
	if v.Format != runsFormat {
		return fmt.Errorf("no engine of this node runs the format %s: `dunlin path` tells where the verified files lie", v.Format)
	}
	return nil
}

// install checks the variant's files whole and, where it is followed and can
// run, makes it active.
func (n *Node) install(ctx context.Context, w want, v manifest.Variant) error {
	if w.purpose != toRun || (n.runnable(v) != nil && !n.handedOver(w.Model, v)) {
		return n.store.Verify(ctx, w.Manifest, v.Name, nil)
	}
	if verdict, err := n.judge(w, time.Now()); err != nil {
		return err
	} else if !verdict.Go {
		return errFlock
	}
	candidate, err := n.candidate(w.Release, v.Name)
	if err != nil {
		return err
	}
	return explainQuarantine(w.Model, n.activator.Activate(ctx, candidate))
}

// candidate describes a variant on this disk to the activator.
func (n *Node) candidate(r store.Release, variant string) (modelrt.Candidate, error) {
	at, err := n.store.Locate(r.Manifest, variant)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	paths := make([]string, len(at.Files))
	for i, f := range at.Files {
		paths[i] = f.Path
	}
	external, err := n.isHandedOver(r, variant)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	entry, err := entryOf(paths, external)
	if err != nil {
		return modelrt.Candidate{}, fmt.Errorf("%s: %w", r, err)
	}
	golden, err := n.goldenSet(r.Manifest)
	if err != nil {
		return modelrt.Candidate{}, err
	}
	n.placed.set(filepath.Join(at.Dir, filepath.FromSlash(entry)), n.providerFor(r.Manifest, variant))
	return modelrt.Candidate{
		Golden:   golden,
		External: external,
		Release: modelrt.Release{
			Model: string(r.Model), Version: r.Version, Sequence: r.Sequence,
			Release: r.Manifest.String(), Variant: variant, Dir: at.Dir, Entry: entry,
		},
		Verify: func(ctx context.Context) error {
			err := n.store.Verify(ctx, r.Manifest, variant, nil)
			if err == nil && golden != "" {
				err = n.store.Verify(ctx, r.Manifest, store.Golden, nil)
			}
			return err
		},
	}, nil
}

// isHandedOver is handedOver of a variant by its name.
func (n *Node) isHandedOver(r store.Release, variant string) (bool, error) {
	m, err := n.manifest(r.Manifest)
	if err != nil {
		return false, err
	}
	v, ok := m.Variant(variant)
	return ok && n.handedOver(r.Model, v), nil
}

// goldenSet returns the folder of a release's golden set, empty for one that
// has none.
func (n *Node) goldenSet(c manifest.CID) (string, error) {
	m, err := n.manifest(c)
	if err != nil || len(m.Golden) == 0 {
		return "", err
	}
	at, err := n.store.Locate(c, store.Golden)
	if err != nil {
		return "", fmt.Errorf("find its golden set: %w", err)
	}
	return at.Dir, nil
}

// providerFor returns the execution provider that a variant is loaded with.
func (n *Node) providerFor(c manifest.CID, variant string) modelrt.Provider {
	if m, err := n.manifest(c); err == nil {
		if row, ok := n.decide(m, c).Row(variant); ok && row.Provider != "" {
			return row.Provider
		}
	}
	return modelrt.CPU
}

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

// activation returns what the runtime knows about the model.
func (n *Node) activation(m manifest.Model) (modelrt.ModelStatus, bool) {
	for _, status := range n.activator.Status() {
		if status.Model == string(m) {
			return status, true
		}
	}
	return modelrt.ModelStatus{}, false
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
