package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
)

// How often the node looks at what it wants although nothing happened, and how
// long it leaves a failed want alone (a full disk may have been cleared).
const (
	lookInterval = 10 * time.Minute
	firstRetry   = 5 * time.Second
	lastRetry    = 5 * time.Minute
	maxWorkers   = 64
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
}

// worker is the pursuit of one want.
type worker struct {
	want   want
	cancel context.CancelFunc
}

// outcome is how a pursuit ended.
type outcome struct {
	want want
	err  error
}

// keepWanted brings here what is followed and carried, until ctx ends:
//
//	for each model with a rule: the newest release its publisher signed,
//	and each pinned release that has lost chunks:
//	    is here, whole, verified, and active if it can be:  nothing to do
//	    otherwise: one worker obtains it, until it is no longer wanted
//	looked at again: at start, after each change of trust or rules, after each
//	    outcome, when a chunk turned out rotten, when a failed one may be tried
func (n *Node) keepWanted(ctx context.Context, net *online) error {
	n.restore(ctx)
	workers := make(map[manifest.CID]*worker)
	retries := make(map[manifest.CID]*backoff)
	outcomes := make(chan outcome)
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		next := time.Now().Add(lookInterval)
		wants := n.wanted()
		for c, w := range workers {
			if now, ok := wants[c]; !ok || now.purpose != w.want.purpose {
				w.cancel()
			}
		}
		for c, w := range wants {
			if workers[c] != nil || len(workers) >= maxWorkers || n.settled(w) {
				continue
			}
			if retry := retries[c]; retry != nil && time.Now().Before(retry.until) {
				next = earlier(next, retry.until)
				continue
			}
			workCtx, stop := context.WithCancel(ctx)
			workers[c] = &worker{want: w, cancel: stop}
			group.Go(func() {
				defer stop()
				select {
				case outcomes <- outcome{w, n.obtain(workCtx, net, w)}:
				case <-ctx.Done():
				}
			})
		}
		timer := time.NewTimer(max(time.Until(next), time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case o := <-outcomes:
			delete(workers, o.want.Manifest)
			n.note(o, retries)
		case <-n.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// note writes down how a pursuit ended and when to try again.
func (n *Node) note(o outcome, retries map[manifest.CID]*backoff) {
	log := n.log.With(slog.String("model", string(o.want.Model)), slog.String("version", o.want.Version))
	switch {
	case o.err == nil:
		delete(retries, o.want.Manifest)
		log.Info("release is here", slog.String("to", string(o.want.purpose)))
	case errors.Is(o.err, context.Canceled):
		log.Debug("release is no longer wanted")
	default:
		retry := retries[o.want.Manifest]
		if retry == nil {
			retry = &backoff{}
			retries[o.want.Manifest] = retry
		}
		retry.wait = min(max(2*retry.wait, firstRetry), lastRetry)
		retry.until = time.Now().Add(retry.wait)
		if o.want.purpose != toRepair {
			e, _ := n.board.get(o.want.Model)
			e.version, e.state, e.reason = o.want.Version, api.StateFailed, o.err.Error()
			e.final = final(o.err)
			n.board.set(o.want.Model, e)
		}
		log.Warn("release could not be had", slog.Any("error", o.err), slog.Duration("again_in", retry.wait))
	}
}

// final says whether only a new release, or a restart, can change the outcome.
func final(err error) bool {
	for _, target := range []error{modelrt.ErrLoad, modelrt.ErrProbe, modelrt.ErrEntry, manifest.ErrFormat, errWrongModel} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// wanted lists what this node means to have, by manifest.
func (n *Node) wanted() map[manifest.CID]want {
	wants := make(map[manifest.CID]want)
	releases, err := n.store.Releases()
	if err != nil {
		n.log.Warn("store does not say what it holds", slog.Any("error", err))
	}
	for _, r := range releases {
		if len(r.Pins) > 0 && !whole(r) {
			wants[r.Manifest] = want{r.Release, toRepair}
		}
	}
	for _, m := range n.trust.Models() {
		follow := n.rules.follows(m)
		if !follow && !n.rules.carries(m) {
			continue
		}
		r, ok := n.trust.Latest(m)
		if !ok || r.Revoked {
			continue
		}
		w := want{store.Release{Model: m, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest}, toCarry}
		if follow {
			w.purpose = toRun
		}
		wants[r.Manifest] = w
	}
	return wants
}

// whole says whether every begun variant of r is complete.
func whole(r store.ReleaseState) bool {
	for _, v := range r.Variants {
		if !v.Complete {
			return false
		}
	}
	return true
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
	m, err := n.manifest(w.Manifest)
	if err != nil {
		return false
	}
	for _, v := range n.choose(m, w.purpose) {
		if complete, err := n.store.Complete(w.Manifest, v.Name); err != nil || !complete {
			return false
		}
		if w.purpose == toRun && n.runnable(v) == nil {
			if active, ok := n.activator.Active(string(w.Model)); !ok || active.Release.Release != w.Manifest.String() {
				return false
			}
		}
	}
	return e.version == w.Version && e.state == api.StateCurrent
}

func (w want) pin() store.Pin {
	if w.purpose == toRun {
		return store.PinFollowed
	}
	return store.PinCarried
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
