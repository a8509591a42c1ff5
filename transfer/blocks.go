package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxBlockSessions is how many peers are asked for blocks at once; the second
// and third only when the ones before keep silent.
const maxBlockSessions = 3

// Blocks gets those of the blocks that the store does not hold, verifies and
// stores them. It waits for peers as Fetch does, and for its turn to ask those
// outside of the site (e may be nil), and returns as Fetch does.
func (t *Transfer) Blocks(ctx context.Context, e Errand, cids []manifest.CID) error {
	ctx, end, err := t.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	g := newGatherer(t, e)
	defer g.close()
	if err := g.get(ctx, cids); err != nil {
		return fmt.Errorf("fetch blocks: %w", err)
	}
	return nil
}

// Trees gets the layout and digest blocks of the files that the store does not
// hold, level by level, and checks that they fit each other. It waits for
// peers and its turn as Blocks does. Call it before store.Begin and
// [Transfer.Fetch].
func (t *Transfer) Trees(ctx context.Context, e Errand, files []manifest.File) error {
	ctx, end, err := t.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	g := newGatherer(t, e)
	defer g.close()
	if err := t.trees(ctx, g, files); err != nil {
		return fmt.Errorf("fetch layouts and digests: %w", err)
	}
	return nil
}

func (t *Transfer) trees(ctx context.Context, g *gatherer, files []manifest.File) error {
	var cids []manifest.CID
	for _, f := range files {
		cids = append(cids, f.Layout, f.Digests)
	}
	if err := g.get(ctx, cids); err != nil {
		return err
	}
	var level []manifest.Subtree
	for _, f := range files {
		c, err := t.layouts.get(f.Layout)
		if err != nil {
			return fmt.Errorf("file %q: %w", f.Path, manifestError(err))
		}
		if c.layout.Size != f.Size {
			return fmt.Errorf("file %q: %w: layout of %d bytes for a file of %d", f.Path, ErrManifest, c.layout.Size, f.Size)
		}
		level = append(level, manifest.Subtree{CID: f.Digests, Count: c.chunks.Len()})
	}
	for len(level) > 0 {
		var below []manifest.Subtree
		cids = cids[:0]
		for _, at := range level {
			data, err := t.cfg.Store.Block(at.CID)
			if err != nil {
				return &storeError{err}
			}
			_, children, err := manifest.DecodeDigests(at, data)
			if err != nil {
				return fmt.Errorf("%w: digest block %s: %w", ErrManifest, at.CID, err)
			}
			for _, child := range children {
				cids = append(cids, child.CID)
			}
			below = append(below, children...)
		}
		if level = below; len(level) > 0 {
			if err := g.get(ctx, cids); err != nil {
				return err
			}
		}
	}
	return nil
}

// gatherer gets blocks from peers and keeps sessions open between calls of get.
type gatherer struct {
	t      *Transfer
	scout  *scout
	errand Errand
	came   uint64                    // bytes from outside; likewise
	open   map[peer.ID]*blockSession // idle ones; of the goroutine that calls get
}

func newGatherer(t *Transfer, e Errand) *gatherer {
	return &gatherer{t: t, errand: orAlone(e), scout: newScout(t, ProtocolID, Use{Kind: UseBlocks}), open: map[peer.ID]*blockSession{}}
}

func (g *gatherer) close() {
	g.scout.close()
	for _, s := range g.open {
		s.close()
	}
}

// wants are blocks that are missing, shared by the sessions of one get.
type wants struct {
	mu   sync.Mutex
	left map[manifest.CID]bool
	list []manifest.CID // in the order asked for
}

func (w *wants) missing() (left []manifest.CID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cid := range w.list {
		if w.left[cid] {
			left = append(left, cid)
		}
	}
	return left
}

func (w *wants) got(cid manifest.CID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.left, cid)
}

// get returns when the store holds all blocks. Peers are asked one after the
// other for what is missing; one that keeps silent is not waited for.
func (g *gatherer) get(ctx context.Context, cids []manifest.CID) error {
	w := &wants{left: map[manifest.CID]bool{}}
	for _, cid := range cids {
		if w.left[cid] {
			continue
		}
		if _, err := g.t.cfg.Store.Block(cid); err != nil {
			w.left[cid] = true
			w.list = append(w.list, cid)
		}
	}
	if len(w.list) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		session *blockSession
		err     error
	}
	results := make(chan result, maxBlockSessions)
	asking := map[peer.ID]bool{}
	defer func() {
		cancel()
		for range asking {
			r := <-results
			r.session.close()
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	turn, turned := g.errand.Turn()
	g.scout.allow(func(id peer.ID) bool { return turn.Outside || g.t.near(id) })
	var next time.Time // when another peer is asked beside those that are silent
	for len(w.missing()) > 0 {
		ready, again := g.scout.ready(func(id peer.ID) bool { return asking[id] })
		silent := !time.Now().Before(next)
		if len(ready) > 0 && (len(asking) == 0 || silent && len(asking) < maxBlockSessions) {
			id := ready[0]
			if n := slices.IndexFunc(ready, g.t.near); n >= 0 {
				id = ready[n]
			}
			for _, r := range ready {
				if g.open[r] != nil {
					id = r // the session that is open costs least
					break
				}
			}
			s := g.open[id]
			if s == nil {
				s = &blockSession{t: g.t, id: id, link: g.t.cfg.Link}
			}
			delete(g.open, id)
			asking[id] = true
			next = time.Now().Add(s.link.pace().stall)
			go func() { results <- result{s, s.ask(ctx, w)} }() // joined above and below
		}
		if len(asking) > 0 && next.After(time.Now()) && (again.IsZero() || next.Before(again)) {
			again = next
		}
		if !again.IsZero() {
			timer.Reset(time.Until(again))
		}
		select {
		case r := <-results:
			delete(asking, r.session.id)
			if _, fatal := errors.AsType[*storeError](r.err); fatal {
				r.session.close()
				return r.err
			}
			if r.session.outside {
				g.came += r.session.taken
			}
			g.errand.Came(g.came, 0)
			if r.err != nil {
				r.session.close()
			} else {
				g.open[r.session.id] = r.session
			}
			if r.err != nil || len(w.missing()) > 0 {
				g.scout.ended(r.session.id, r.err, r.session.link)
			}
		case <-timer.C:
		case <-g.scout.wake:
		case <-turned:
			turn, turned = g.errand.Turn()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
