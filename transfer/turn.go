package transfer

import (
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

var (
	// ErrTurn says that the rest of a release is not to be had as it was asked
	// for, since it has become this node's turn to fetch it from outside of its
	// site, or has ceased to be.
	ErrTurn = errors.New("the turn to fetch from outside has changed")
	// ErrSlow says that peers of this site hold what is missing, but deliver it
	// so slowly that a delta is worth its time.
	ErrSlow = errors.New("the link inside the site is slow")
)

// slowInside is how long a chunk may take inside a site before its link counts
// as slow: 128 KiB at 2 Mbit/s.
const slowInside = 500 * time.Millisecond

// alone is the errand of a node without a site: always its turn, and nobody to
// share with.
type alone struct{}

func (alone) Turn() (Turn, <-chan struct{}) { return Turn{Outside: true, Isolated: true}, nil }
func (alone) Came(uint64, uint64)           {}
func (alone) Leave()                        {}

// orAlone returns e, or the errand of a node without a site.
func orAlone(e Errand) Errand {
	if e == nil {
		return alone{}
	}
	return e
}

// Join tells the members of this node's site, if it has one, that it is getting
// the release. The caller leaves the errand.
func (t *Transfer) Join(release manifest.CID) Errand {
	if t.cfg.Site == nil {
		return alone{}
	}
	return t.cfg.Site.Join(release)
}

// Leads says whether, of those whose turn it is, self is the one to fetch what
// cannot be shared out: a delta.
func (t Turn) Leads(self peer.ID, release manifest.CID) bool {
	if !t.Outside {
		return false
	}
	key := seedOf(release.Bytes())
	own := weight(seedOf([]byte(self)), key)
	for _, id := range t.Sharers {
		if id != self && weight(seedOf([]byte(id)), key) > own {
			return false
		}
	}
	return true
}

// turns notes whose turn it is; sessions outside begin or stop asking.
func (p *plan) turns(t Turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn = t
	for s := range p.sessions {
		s.poke()
	}
}

// outside returns how many bytes have come from outside, and how many are
// missing.
func (p *plan) outside() (bytes, missing uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outsideBytes, p.progress.WantedBytes - p.progress.StoredBytes
}

// hopeless says why the peers inside are not to be waited for: ErrSlow, or
// ErrTurn if it is this node's turn and no peer inside has something to give.
func (p *plan) hopeless(t *Transfer, turn bool, begun time.Time) error {
	near := 0
	for _, id := range t.cfg.Host.Network().Peers() {
		if t.near(id) && t.speaksTransfer(id) {
			near++
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, heard := time.Now(), 0
	for s := range p.sessions {
		if s.heard {
			heard++
		}
		if len(s.expected) > 0 && !s.busy && now.Sub(later(s.completed, s.expected[0].at)) > slowInside {
			return ErrSlow
		}
		if s.useful > 0 {
			return nil
		}
	}
	if len(p.claimers(nil, now)) > 0 {
		return nil
	}
	if !turn || heard < min(near, maxFetchSessions) && now.Sub(begun) < heardWithin {
		return nil
	}
	return ErrTurn
}

// heardWithin is how long peers inside may take to say what they hold.
const heardWithin = time.Second

// sooner returns the sooner of two times, of which the zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// inside says whether a connection stays inside this node's site.
func (t *Transfer) inside(c network.Conn) bool {
	if t.cfg.Site != nil {
		return t.cfg.Site.Local(c)
	}
	return t.linkOf(c) == LAN
}

// near says whether the peer is of this node's site.
func (t *Transfer) near(id peer.ID) bool {
	return slices.ContainsFunc(t.cfg.Host.Network().ConnsToPeer(id), t.inside)
}

// outsiders returns the connected peers that are not of this node's site.
func (t *Transfer) outsiders() (ids []peer.ID) {
	for _, id := range t.cfg.Host.Network().Peers() {
		if !t.near(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// settle is how long a fetch waits before it asks outside, so that others who
// begin at the same time are heard.
func (l Link) settle() time.Duration {
	switch l {
	case LAN:
		return 0
	case WAN:
		return 200 * time.Millisecond
	case Narrow:
		return 600 * time.Millisecond
	}
	return 1500 * time.Millisecond
}
