package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
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
				n.noteLatency(m, w, variants[0])
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
