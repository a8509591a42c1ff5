package gossip

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Bounds of the sessions that others begin.
const (
	maxInbound        = 16 // at once
	maxInboundPerPeer = 2
	inboundBurst      = 32          // sessions of one peer in a row
	inboundRefill     = time.Second // and then one more each
)

// gate admits inbound sessions. It remembers a peer only while it has used up
// some of its burst, so it is bounded by the rate of inbound streams that the
// host allows times inboundBurst seconds.
type gate struct {
	mu    sync.Mutex
	open  int
	peers map[peer.ID]*visitor // guarded by mu
}

type visitor struct {
	open   int
	tokens float64
	at     time.Time // when tokens was right
}

func newGate() *gate { return &gate{peers: make(map[peer.ID]*visitor)} }

// enter admits a session of p, or not. Whoever was admitted must leave.
func (g *gate) enter(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	v := g.peers[p]
	if v == nil {
		g.sweep(now)
		v = &visitor{tokens: inboundBurst, at: now}
		g.peers[p] = v
	}
	v.refill(now)
	if g.open >= maxInbound || v.open >= maxInboundPerPeer || v.tokens < 1 {
		return false
	}
	v.tokens--
	v.open++
	g.open++
	return true
}

func (g *gate) leave(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers[p].open--
	g.open--
}

// sweep forgets peers whose burst is whole again.
func (g *gate) sweep(now time.Time) {
	for p, v := range g.peers {
		if v.refill(now); v.open == 0 && v.tokens >= inboundBurst {
			delete(g.peers, p)
		}
	}
}

func (v *visitor) refill(now time.Time) {
	v.tokens = min(inboundBurst, v.tokens+now.Sub(v.at).Seconds()/inboundRefill.Seconds())
	v.at = now
}
