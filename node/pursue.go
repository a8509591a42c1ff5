package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// How often the node looks at what it wants although nothing happened, how many
// releases it pursues at a time, and how long one that no peer at hand holds
// may keep others from being pursued.
const (
	lookInterval = 10 * time.Minute
	maxWorkers   = 64
	turn         = time.Minute
)

// worker is the pursuit of one want. The loop of keepWanted owns the fields.
type worker struct {
	want    want
	since   time.Time
	stopped bool // by the loop: the want is gone, or its turn is over
	cancel  context.CancelFunc
}

func (w *worker) stop() {
	w.stopped = true
	w.cancel()
}

// outcome is how a pursuit ended.
type outcome struct {
	worker *worker
	err    error
}

// keepWanted brings here what is followed and carried, until ctx ends:
//
//	for each model with a rule: the newest release its publisher signed,
//	and each pinned release that has lost chunks:
//	    is here, whole, verified, and active if it can be:  nothing to do
//	    otherwise: one worker obtains it, until it is no longer wanted
//	what its publisher took back is not kept to go back to, what no longer fits
//	    a carry quota is removed, carry rules whose time is over are ended
//	looked at again: at start, after each change of trust or rules, after each
//	    outcome, when a chunk turned out rotten, when a failed one may be tried
//
// A model has one worker at a time, repairs apart. If more than maxWorkers are
// wanted, those that no peer at hand holds take turns.
func (n *Node) keepWanted(ctx context.Context, net *online) error {
	n.look(ctx)
	n.restore(ctx)
	workers := make(map[manifest.CID]*worker)
	outcomes := make(chan outcome)
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		n.look(ctx)
		expiry := n.expireRules(ctx)
		wants, room := n.wanted()
		n.evict(room.evict)
		n.retries.keepOnly(wants)
		n.flock.keepOnly(wants)
		for c, w := range workers {
			if now, ok := wants[c]; !ok || now.purpose != w.want.purpose || now.over != "" || n.imports.has(c) {
				w.stop()
			}
		}
		n.clearWants(wants, workers)
		if n.believes.Swap(false) {
			n.dropRevoked()
		}
		ready, next := n.ready(wants, workers, time.Now())
		if !expiry.IsZero() {
			next = earlier(next, expiry)
		}
		free := min(maxWorkers-len(workers), len(ready))
		if free < len(ready) {
			n.endTurns(workers, len(ready)-free)
			next = earlier(next, time.Now().Add(turn))
		}
		for _, w := range ready[:free] {
			workCtx, stop := context.WithCancel(ctx)
			run := &worker{want: w, since: time.Now(), cancel: stop}
			workers[w.Manifest] = run
			group.Go(func() {
				defer stop()
				select {
				case outcomes <- outcome{run, n.obtain(workCtx, net, w)}:
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
			delete(workers, o.worker.want.Manifest)
			n.note(ctx, o)
		case <-n.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// ready lists the wants that a worker is to pursue now, those first that are
// missed most and have waited longest, and when to look again at the latest.
func (n *Node) ready(wants map[manifest.CID]want, workers map[manifest.CID]*worker, now time.Time) ([]want, time.Time) {
	next := now.Add(lookInterval)
	busy := make(map[manifest.Model]bool)
	for _, w := range workers {
		if w.want.purpose != toRepair {
			busy[w.want.Model] = true
		}
	}
	var ready []want
	for c, w := range wants {
		if workers[c] != nil || n.imports.has(c) || (w.purpose != toRepair && busy[w.Model]) || (w.over == "" && n.settled(w)) {
			continue
		}
		if w.over != "" {
			n.tell(w, entry{state: api.StateWaiting, reason: w.over, code: api.CodeBudget})
			continue
		}
		if n.heldBack(w, now) {
			next = earlier(next, now.Add(flockPause))
			continue
		}
		if until := n.retries.until(c); now.Before(until) {
			next = earlier(next, until)
			continue
		}
		ready = append(ready, w)
	}
	slices.SortFunc(ready, func(a, b want) int {
		if a.purpose == toCarry && b.purpose == toCarry {
			if c := n.retries.until(a.Manifest).Compare(n.retries.until(b.Manifest)); c != 0 {
				return c
			}
		}
		return a.before(b)
	})
	return ready, next
}

// endTurns stops up to count workers that have waited a turn for a peer.
func (n *Node) endTurns(workers map[manifest.CID]*worker, count int) {
	for _, w := range workers {
		e, _ := n.board.get(w.want.Model)
		if count > 0 && !w.stopped && w.want.purpose == toCarry && e.state == api.StateWaiting && time.Since(w.since) > turn {
			n.retries.later(w.want, time.Now())
			w.stop()
			count--
		}
	}
}

// note writes down how a pursuit ended and when to try again.
func (n *Node) note(ctx context.Context, o outcome) {
	w := o.worker.want
	log := n.log.With(slog.String("model", string(w.Model)), slog.String("version", w.Version))
	switch {
	case o.err == nil:
		n.retries.done(w.Manifest)
		if err := n.paths.allowed.drop(w.Manifest); err != nil {
			log.Warn("what was allowed is still written down", slog.Any("error", err))
		}
		log.Info("release is here", slog.String("to", string(w.purpose)))
	case errors.Is(o.err, errFlock): // the next look says what for
		log.Info("release waits", slog.Any("error", o.err))
	case errors.Is(o.err, errCarryQuota): // the next look finds it over the quota
		log.Info("release waits", slog.Any("error", o.err))
	case o.worker.stopped:
		log.Debug("release is no longer pursued")
	default:
		wait := n.retries.failed(w, o.err, time.Now())
		if w.purpose != toRepair {
			e, _ := n.board.get(w.Model)
			e.version, e.state, e.reason = w.Version, api.StateFailed, o.err.Error()
			e.final, e.code = final(o.err), codeOf(o.err)
			n.board.set(w.Model, e)
		}
		log.Warn("release could not be had", slog.Any("error", o.err), slog.Duration("again_in", wait))
	}
	// The rule may have gone while the worker did its last steps.
	if err := n.letGo(ctx, w.Model); err != nil {
		log.Warn("model that is no longer followed is not let go", slog.Any("error", err))
	}
}
