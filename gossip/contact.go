package gossip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/parley"
)

// Bounds of the sessions that others begin.
const (
	maxInbound        = 16 // at once
	maxInboundPerPeer = 2
	inboundBurst      = 32          // sessions of one peer in a row
	inboundRefill     = time.Second // and then one more each
)

// acquaint makes the acquaintances of g: peers that speak the sync protocol, be
// they connected through a relay.
func (g *Gossip) acquaint() *parley.Acquaintances {
	h := g.config.Host
	return &parley.Acquaintances{
		Host: h, Protocol: SyncProtocol, Relayed: true,
		Arrived: func(p peer.ID) { g.meets.arrived(h.ID(), p) }, Left: g.meets.left,
	}
}

// follow keeps meetings in step with the connections until ctx ends.
func (g *Gossip) follow(ctx context.Context, events event.Subscription) error {
	err := g.peers.Follow(ctx, events)
	if errors.Is(err, parley.ErrEventsEnded) {
		err = fmt.Errorf("%w: %w", err, ErrNotRunning)
	}
	return err
}
