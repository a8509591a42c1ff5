package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// A delta that several sites want at the same time passes from one to the next.
// A peer that is giving it to somebody outside of its site sends whoever else
// asks for the same one to the peer that asked last before, and that one passes
// on what it has while more arrives. So the links form a chain, each of them
// carries one copy, and all sites have the delta little later than the first.
// Whoever does not get it there asks again and is served directly.

const (
	maxChain     = 64 // askers remembered of one delta
	maxElsewhere = 4  // addresses told of a peer
	maxAddrBytes = 128
	reachWithin  = 10 * time.Second
)

// chain is who asked for one delta, in order, while it is being given.
type chain struct {
	order  []peer.ID
	giving int
}

// link books a giving of k to the peer, or says who else has it or will. done
// is to be called when the giving has ended or is not wanted.
func (d *deltas) link(k deltaKey, to peer.ID, direct bool) (elsewhere peer.ID, done func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.chains[k]
	if c == nil {
		c = &chain{}
		d.chains[k] = c
	}
	at := slices.Index(c.order, to)
	if c.giving > 0 && !direct && at != 0 {
		if at < 0 {
			at = len(c.order)
			if at < maxChain {
				c.order = append(c.order, to)
			}
		}
		return c.order[at-1], nil
	}
	if at < 0 {
		c.order = slices.Insert(c.order[:min(len(c.order), maxChain-1)], 0, to)
	}
	c.giving++
	return "", func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if c.giving--; c.giving == 0 && d.chains[k] == c {
			delete(d.chains, k)
		}
	}
}

// elsewhere says that another peer has, or is getting, the delta.
func (s *deltaServing) elsewhere(id peer.ID) *deltaWait {
	w := &deltaWait{For: waitElsewhere, Peer: []byte(id)}
	for _, a := range s.t.cfg.Host.Peerstore().Addrs(id) {
		if len(a.Bytes()) <= maxAddrBytes && len(w.Addrs) < maxElsewhere {
			w.Addrs = append(w.Addrs, a.Bytes())
		}
	}
	return w
}

// validateElsewhere checks what is told of another peer.
func (w *deltaWait) validateElsewhere() error {
	if len(w.Peer) == 0 && len(w.Addrs) == 0 && w.For != waitElsewhere {
		return nil
	}
	if w.For != waitElsewhere || len(w.Peer) > maxAddrBytes || len(w.Addrs) > maxElsewhere {
		return fmt.Errorf("wait for %.20q with a peer of %d bytes and %d addresses", w.For, len(w.Peer), len(w.Addrs))
	}
	if _, err := peer.IDFromBytes(w.Peer); err != nil {
		return fmt.Errorf("wait for a peer without a name: %w", err)
	}
	for _, a := range w.Addrs {
		if len(a) > maxAddrBytes {
			return fmt.Errorf("address of %d bytes, at most %d", len(a), maxAddrBytes)
		}
	}
	return nil
}

// relays returns the basis, of those in a, of a delta that is arriving here and
// that the client may have while it does; -1 if there is none. What came from
// the client itself, or is no more than it has, is not for it.
func (d *deltas) relays(a *deltaAsk, to peer.ID) (basis int, k deltaKey, total uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.fetching[a.File]
	if f == nil || f.from == to {
		return -1, k, 0
	}
	basis = slices.Index(a.Bases, f.key.basis)
	if basis < 0 || f.key.effort < a.Effort || f.key.format != a.Format {
		return -1, k, 0
	}
	if p := a.Part; p != nil {
		if bytes := f.growth.size(); uint64(bytes) <= p.Bytes {
			return -1, k, 0
		}
	}
	return basis, f.key, f.total
}

// fetching is a delta that arrives here.
type fetching struct {
	growth *growth
	key    deltaKey
	from   peer.ID
	total  uint64 // bytes of it, 0 if not known
}

// reach connects to the peer that has the delta, if this node is not connected
// to it.
func (r *deltaRun) reach(ctx context.Context, w *deltaWait) {
	id, err := peer.IDFromBytes(w.Peer)
	if err != nil || id == r.t.cfg.Host.ID() {
		return
	}
	if !r.t.connected(id) && !r.t.cfg.Discreet {
		info := peer.AddrInfo{ID: id}
		for _, b := range w.Addrs {
			if a, err := multiaddr.NewMultiaddrBytes(b); err == nil {
				info.Addrs = append(info.Addrs, a)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, reachWithin)
		defer cancel()
		if err := r.t.cfg.Host.Connect(ctx, info); err != nil {
			r.t.cfg.Logger.Debug("the peer that has the delta is out of reach", slog.Any("peer", id), slog.Any("error", err))
		}
	}
	r.scout.again(id) // it may have had nothing when it was asked before
}

// relayGrace is how long whoever was sent to another peer waits for its offer,
// and for bytes from it, before asking to be served directly.
func (l Link) relayGrace() time.Duration { return max(l.pace().stall, 3*time.Second) }

// errRelay says that a peer that passes a delta on gets nothing itself.
var errRelay = errors.New("peer that passes the delta on has nothing more")

// may says whether a peer may be asked for a delta.
func (r *deltaRun) may(id peer.ID) bool {
	if r.t.near(id) {
		return !r.job.Outside
	}
	return r.leads()
}

// leads says whether this node is the one of its site to ask outside, as of the
// turn that was looked at last.
func (r *deltaRun) leads() bool { return r.turn.Leads(r.t.cfg.Host.ID(), r.job.Release) }

// look takes the turn anew; the error is ErrTurn if nobody may be asked.
func (r *deltaRun) look() error {
	if r.turn, r.turned = r.job.Errand.Turn(); r.job.Outside && !r.leads() {
		return ErrTurn
	}
	return nil
}
