package site

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// How near a member must be, and how often that is measured.
const (
	// maxRTT is the longest round trip inside a site. A switched or wireless
	// network takes a millisecond or a few; a satellite takes 600.
	maxRTT = 30 * time.Millisecond
	// maxPings is how many are tried: the shortest counts, since a busy machine
	// or a busy air makes some of them slow.
	maxPings = 3
	// A peer found to be far is measured again after a minute, and then after
	// twice as long each time.
	firstVeto = time.Minute
	lastVeto  = time.Hour
	maxVetoes = 1024
)

// vetoes remembers whose answers took too long. Safe for concurrent use.
type vetoes struct {
	mu    sync.Mutex
	peers map[peer.ID]veto // guarded by mu; at most maxVetoes
}

type veto struct {
	until time.Time     // measured again then
	wait  time.Duration // how long that was
}

func newVetoes() *vetoes { return &vetoes{peers: make(map[peer.ID]veto)} }

// stands says whether the peer was found to be far the last time.
func (v *vetoes) stands(p peer.ID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.peers[p]
	return ok
}

// until is when the peer may be measured, the zero time for any time.
func (v *vetoes) until(p peer.ID) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.peers[p].until
}

// add notes that the peer is far. The oldest veto gives way to the newest.
func (v *vetoes) add(p peer.ID, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, known := v.peers[p]
	if !known && len(v.peers) >= maxVetoes {
		var first peer.ID
		for id, x := range v.peers {
			if first == "" || x.until.Before(v.peers[first].until) {
				first = id
			}
		}
		delete(v.peers, first)
	}
	wait := min(max(2*old.wait, firstVeto), lastVeto)
	v.peers[p] = veto{until: now.Add(wait), wait: wait}
}

// lift notes that the peer is near.
func (v *vetoes) lift(p peer.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.peers, p)
}
