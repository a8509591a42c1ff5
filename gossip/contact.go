package gossip

import (
	"context"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// watch subscribes to what the host learns of its peers. Identification comes
// after every new connection and says what a peer speaks.
func (g *Gossip) watch() (event.Subscription, error) {
	events, err := g.config.Host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
		new(event.EvtPeerConnectednessChanged),
	}, eventbus.Name("dunlin/gossip"))
	if err != nil {
		return nil, fmt.Errorf("subscribe to events of the host: %w", err)
	}
	return events, nil
}

// follow keeps meetings in step with the connections until ctx ends.
func (g *Gossip) follow(ctx context.Context, events event.Subscription) error {
	h := g.config.Host
	for _, p := range h.Network().Peers() {
		if known, err := h.Peerstore().SupportsProtocols(p, SyncProtocol); err == nil && len(known) > 0 {
			g.arrived(p)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events.Out():
			if !ok {
				return fmt.Errorf("events of the host ended: %w", ErrNotRunning)
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				if slices.Contains(e.Protocols, SyncProtocol) {
					g.arrived(e.Peer)
				}
			case event.EvtPeerProtocolsUpdated:
				if slices.Contains(e.Added, SyncProtocol) {
					g.arrived(e.Peer)
				}
				if slices.Contains(e.Removed, SyncProtocol) {
					g.meets.left(e.Peer)
				}
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == network.NotConnected {
					g.meets.left(e.Peer)
				}
			}
		}
	}
}

// arrived notes that p speaks the sync protocol, if it is connected, be it
// through a relay.
func (g *Gossip) arrived(p peer.ID) {
	if h := g.config.Host; h.Network().Connectedness(p) != network.NotConnected {
		g.meets.arrived(h.ID(), p)
	}
}
