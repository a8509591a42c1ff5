package fleet

import (
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Parole: a peer that sent forged or malformed bytes is left alone for
// paroleFirst, and paroleGrowth times longer with each further offence, at most
// paroleLongest.
const (
	paroleFirst   = time.Minute
	paroleGrowth  = 4
	paroleLongest = 24 * time.Hour
)

// failed plans when to try again after a session failed. c.mu is held.
func (k *contact) failed(now time.Time, pause time.Duration, err error) {
	reset, ok := errors.AsType[*network.StreamError](err)
	switch {
	case errors.Is(err, errOtherMesh), ok && reset.Remote && reset.ErrorCode == network.StreamGated:
		k.otherMesh, k.due = true, time.Time{} // until it comes again
		return
	case atFault(err):
		k.parole = min(max(paroleFirst, k.parole*paroleGrowth), paroleLongest)
		k.until = now.Add(k.parole)
	}
	wait := max(pause, retryPause<<min(k.failures, maxDoublings))
	k.failures++
	k.due = time.Time{}
	k.plan(now.Add(jitter(wait)), 0)
}

// Bounds of the sessions that others begin.
const (
	maxInbound        = 16 // at once
	maxInboundPerPeer = 2
	inboundBurst      = 8           // sessions of one peer in a row
	inboundRefill     = time.Second // and then one more each
)

// gate admits inbound sessions. It remembers a peer only while it has used up
// some of its burst. The contacts' lock does not guard it; its caller's does.
type gate struct {
	open  int
	peers map[peer.ID]*visitor
}

type visitor struct {
	open   int
	tokens float64
	at     time.Time // when tokens was right
}

// enter admits a session of p, or not. Whoever was admitted must leave.
func (g *gate) enter(p peer.ID, now time.Time) bool {
	v := g.peers[p]
	if v == nil {
		for other, v := range g.peers {
			if v.refill(now); v.open == 0 && v.tokens >= inboundBurst {
				delete(g.peers, other)
			}
		}
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
	g.peers[p].open--
	g.open--
}

func (v *visitor) refill(now time.Time) {
	v.tokens = min(inboundBurst, v.tokens+now.Sub(v.at).Seconds()/inboundRefill.Seconds())
	v.at = now
}
