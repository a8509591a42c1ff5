package fleet

import (
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/internal/parley"
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
	k.plan(now.Add(parley.Jitter(wait)), 0)
}

// Bounds of the sessions that others begin.
const (
	maxInbound        = 16 // at once
	maxInboundPerPeer = 2
	inboundBurst      = 8           // sessions of one peer in a row
	inboundRefill     = time.Second // and then one more each
)
