package transfer

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	maxPeers      = 1024             // records kept of peers
	stallPause    = 10 * time.Second // a peer that stalled is left alone for so long the first time
	maxStallPause = time.Hour
	maxParole     = 24 * time.Hour
)

// peers remembers how peers behaved.
type peers struct {
	mu     sync.Mutex
	parole time.Duration
	byID   map[peer.ID]*peerRecord
}

func newPeers(parole time.Duration) peers {
	return peers{parole: parole, byID: map[peer.ID]*peerRecord{}}
}

// peerRecord is what is known of one peer. Fields without a lock of their own
// belong to peers.mu.
type peerRecord struct {
	id       peer.ID
	traffic  traffic
	bad      int       // times that it broke the rules
	stalls   int       // times in a row that it stalled
	until    time.Time // not asked before
	refused  time.Time // not served before
	seen     time.Time
	users    int // sessions of either kind
	link     Link
	rate     float64 // bytes per second
	rtt      time.Duration
	serving  *budget      // its share of the memory for serving
	sessions atomic.Int32 // that it has open here
}

// get returns the record of a peer and counts its user; call put afterwards.
func (p *peers) get(id peer.ID, link Link, share int) *peerRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byID[id]
	if r == nil {
		p.evict()
		r = &peerRecord{id: id, serving: newBudget(share)}
		p.byID[id] = r
	}
	r.users++
	r.link, r.seen = link, time.Now()
	return r
}

func (p *peers) put(r *peerRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.users--
	r.seen = time.Now()
}

// evict makes room for a record: the one seen longest ago goes, those on
// parole and in use last.
func (p *peers) evict() {
	for len(p.byID) >= maxPeers {
		now := time.Now()
		var victim *peerRecord
		for _, r := range p.byID {
			if r.users == 0 && (victim == nil || rank(r, now) < rank(victim, now) ||
				rank(r, now) == rank(victim, now) && r.seen.Before(victim.seen)) {
				victim = r
			}
		}
		if victim == nil {
			return // all in use: sessions are bounded, so records are
		}
		delete(p.byID, victim.id)
	}
}

func rank(r *peerRecord, now time.Time) int {
	if now.Before(r.until) {
		return 1
	}
	return 0
}

// pausedUntil returns when the peer may be asked again; zero for now.
func (p *peers) pausedUntil(id peer.ID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byID[id]; r != nil && time.Now().Before(r.until) {
		return r.until
	}
	return time.Time{}
}

// refuses says whether the peer is not to be served now.
func (p *peers) refuses(r *peerRecord) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(r.refused)
}

// punish puts the peer on parole for a growing time and says whether why was a
// reason to. One that breaks the protocol is not served either; one that
// stalls or has bad bytes may still need what is here.
func (p *peers) punish(r *peerRecord, why error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pause time.Duration
	switch {
	case errors.Is(why, ErrCorrupt), errors.Is(why, ErrProtocol):
		pause = grown(p.parole, r.bad, maxParole)
		r.bad++
	case errors.Is(why, ErrStalled):
		pause = grown(stallPause, r.stalls, maxStallPause)
		r.stalls++
	default:
		return false
	}
	until := time.Now().Add(pause)
	if until.After(r.until) {
		r.until = until
	}
	if errors.Is(why, ErrProtocol) {
		r.refused = r.until
	}
	return true
}

// grown doubles pause n times, up to most.
func grown(pause time.Duration, n int, most time.Duration) time.Duration {
	for range n {
		if pause >= most {
			break
		}
		pause *= 2
	}
	return min(pause, most)
}

// delivered notes that the peer did what it was asked for.
func (p *peers) delivered(r *peerRecord, rate float64, rtt time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.stalls = 0
	if rate > 0 {
		r.rate = rate
	}
	if rtt > 0 {
		r.rtt = rtt
	}
}

// speed returns what is known of a peer, for choosing among many.
func (p *peers) speed(id peer.ID) (rate float64, rtt time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byID[id]; r != nil {
		return r.rate, r.rtt
	}
	return 0, 0
}

func (p *peers) stats() []PeerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]PeerStats, 0, len(p.byID))
	for _, r := range p.byID {
		s := PeerStats{
			Peer: r.id, State: PeerOK, Link: r.link,
			BytesReceived: r.traffic.received.Load(), BytesSent: r.traffic.sent.Load(),
			BytesPerSecond: r.rate, RTT: r.rtt,
		}
		if time.Now().Before(r.until) {
			s.State, s.Until = PeerParole, r.until
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b PeerStats) int { return cmp.Compare(a.Peer, b.Peer) })
	return out
}
