package node

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// purpose is why a release is wanted.
type purpose string

const (
	toRun    purpose = "run"    // followed
	toCarry  purpose = "carry"  // to pass it on
	toRepair purpose = "repair" // pinned here, and a chunk of it has rotted
)

// want is a release that this node means to have.
type want struct {
	store.Release
	purpose purpose
	// kept says that the release is here whole, and was checked and pinned for
	// this purpose before.
	kept bool
	// over says why the release, which is only carried, waits for room under the
	// quota of its rule; empty if it does not.
	over string
}

// pin is the reason for which the store keeps what the want brings.
func (w want) pin() store.Pin {
	if w.purpose == toRun {
		return store.PinFollowed
	}
	return store.PinCarried
}

// before orders wants by what is missed most: what is to run, what was here and
// has rotted, what is only passed on.
func (w want) before(other want) int {
	rank := []purpose{toRun, toRepair, toCarry}
	return cmp.Or(
		cmp.Compare(slices.Index(rank, w.purpose), slices.Index(rank, other.purpose)),
		cmp.Compare(w.Model, other.Model),
		cmp.Compare(w.Sequence, other.Sequence))
}

// wanted lists what this node means to have, by manifest, and what is to make way
// for it under the quotas of carry rules. Nothing that its publisher took back is
// among it.
func (n *Node) wanted() (map[manifest.CID]want, allotment) {
	wants, held := n.wantedAndHeld()
	rules := n.rules.carried()
	if !limited(rules) {
		return wants, allotment{}
	}
	a := n.allot(rules, wants, held)
	for c, why := range a.over {
		w := wants[c]
		w.over = why
		wants[c] = w
	}
	return wants, a
}

// wantedAndHeld lists, by manifest, what this node would have without quotas,
// and what it has.
func (n *Node) wantedAndHeld() (map[manifest.CID]want, map[manifest.CID]store.ReleaseState) {
	wants := make(map[manifest.CID]want)
	releases, err := n.store.Releases()
	if err != nil {
		n.log.Warn("store does not say what it holds", slog.Any("error", err))
	}
	held := make(map[manifest.CID]store.ReleaseState)
	for _, r := range releases {
		held[r.Manifest] = r
		if len(r.Pins) > 0 && !whole(r) && !n.revoked(r.Release) {
			wants[r.Manifest] = want{Release: r.Release, purpose: toRepair}
		}
	}
	for _, m := range n.trust.Models() {
		follow := n.rules.follows(m)
		if !follow && !n.rules.carries(m) {
			continue
		}
		r, ok := n.trust.Latest(m)
		if !ok {
			continue
		}
		w := want{Release: store.Release{Model: m, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest}, purpose: toCarry}
		if follow {
			w.purpose = toRun
		}
		have := held[r.Manifest]
		w.kept = slices.Contains(have.Pins, w.pin()) && n.wholeFor(w, have)
		wants[r.Manifest] = w
	}
	return wants, held
}

// revoked says whether the release's publisher took it back.
func (n *Node) revoked(r store.Release) bool {
	known, ok := n.trust.Release(r.Model, r.Version)
	return ok && known.Manifest == r.Manifest && known.Revoked
}

// wayBackRevoked says whether r, which the runtime knows, is not what it has
// active, and was taken back: it must not become active.
func (n *Node) wayBackRevoked(r *modelrt.Release) bool {
	model := manifest.Model(r.Model)
	if status, ok := n.activation(model); ok && status.Recorded != nil && status.Recorded.Same(*r) {
		return false
	}
	known, ok := n.trust.Release(model, r.Version)
	return ok && known.Manifest.String() == r.Release && known.Revoked
}

// whole says whether every begun variant of r is complete. A release whose
// manifest was lost has none.
func whole(r store.ReleaseState) bool {
	return len(r.Variants) > 0 && !slices.ContainsFunc(r.Variants, func(v store.VariantState) bool { return !v.Complete })
}

// settled says whether nothing is left to do about w.
func (n *Node) settled(w want) bool {
	if w.purpose == toRepair {
		return false
	}
	e, _ := n.board.get(w.Model)
	if e.version == w.Version && e.state == api.StateFailed && e.final {
		return true
	}
	if !w.kept || (w.purpose == toRun && !n.servesOrCannot(w)) {
		return false
	}
	n.tell(w, entry{state: api.StateCurrent, done: e.done, total: e.total})
	return true
}

// servesOrCannot says whether the release is active, or no engine here runs it.
func (n *Node) servesOrCannot(w want) bool {
	active, ok := n.activator.Active(string(w.Model))
	return (ok && active.Release.Release == w.Manifest.String() && n.serves(w.Manifest, active.Variant)) || !n.canRun(w.Manifest)
}

// serves says whether the variant that serves is the one that is chosen. Where
// nothing is chosen, what serves stays.
func (n *Node) serves(c manifest.CID, variant string) bool {
	m, err := n.manifest(c)
	if err != nil || len(m.Variants) == 1 {
		return true
	}
	chosen := n.decide(m, c).Chosen
	return chosen == "" || chosen == variant
}

// canRun says whether an engine here runs the variant that this machine would
// choose. A manifest that is not here might be of one.
func (n *Node) canRun(c manifest.CID) bool {
	m, err := n.manifest(c)
	return err != nil || slices.ContainsFunc(n.choose(m, c), func(v manifest.Variant) bool { return n.runnable(v) == nil })
}

// final says whether only a new release, a restart or an operator's word can
// change the outcome.
func final(err error) bool {
	for _, target := range []error{
		modelrt.ErrLoad, modelrt.ErrProbe, modelrt.ErrProvider, modelrt.ErrGolden, modelrt.ErrEntry, modelrt.ErrQuarantined,
		manifest.ErrFormat, transfer.ErrManifest, store.ErrMismatch, errWrongModel, errNoVariant,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// manifest reads a manifest that the store holds.
func (n *Node) manifest(c manifest.CID) (*manifest.Manifest, error) {
	data, err := n.store.Block(c)
	if err != nil {
		return nil, err
	}
	m := new(manifest.Manifest)
	if err := manifest.Decode(data, m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", c, err)
	}
	return m, nil
}
