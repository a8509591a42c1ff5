package parley

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Gate admits sessions that others begin: so many at once, so many of one peer,
// and of one peer a burst in a row and then one more for each Refill. It
// remembers a peer only while it has used up some of its burst, so what it
// remembers is bounded by the rate of inbound streams that the host allows times
// Burst times Refill. Its fields do not change once it is in use. Safe for
// concurrent use.
type Gate struct {
	Most        int // sessions at once
	MostPerPeer int
	Burst       int
	Refill      time.Duration

	mu    sync.Mutex
	open  int
	peers map[peer.ID]*visitor // guarded by mu
}

type visitor struct {
	open   int
	tokens float64
	at     time.Time // when tokens was right
}

// Enter admits a session of p, or not. Whoever was admitted must leave.
func (g *Gate) Enter(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	v := g.peers[p]
	if v == nil {
		g.sweep(now)
		v = &visitor{tokens: float64(g.Burst), at: now}
		if g.peers == nil {
			g.peers = make(map[peer.ID]*visitor)
		}
		g.peers[p] = v
	}
	g.refill(v, now)
	if g.open >= g.Most || v.open >= g.MostPerPeer || v.tokens < 1 {
		return false
	}
	v.tokens--
	v.open++
	g.open++
	return true
}

// Leave ends a session that was admitted.
func (g *Gate) Leave(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers[p].open--
	g.open--
}

// sweep forgets peers whose burst is whole again.
func (g *Gate) sweep(now time.Time) {
	for p, v := range g.peers {
		if g.refill(v, now); v.open == 0 && v.tokens >= float64(g.Burst) {
			delete(g.peers, p)
		}
	}
}

func (g *Gate) refill(v *visitor, now time.Time) {
	v.tokens = min(float64(g.Burst), v.tokens+now.Sub(v.at).Seconds()/g.Refill.Seconds())
	v.at = now
}
