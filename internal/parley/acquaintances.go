package parley

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// ErrEventsEnded says that the host tells of no more peers, as it does once it
// is closed.
var ErrEventsEnded = errors.New("events of the host ended")

// Acquaintances are the connected peers that speak a protocol. The fields do
// not change once it is in use.
type Acquaintances struct {
	Host     host.Host
	Protocol protocol.ID
	// Relayed says that a peer counts that is connected through a relay only.
	Relayed bool
	// Arrived is called for a connected peer that speaks the protocol, perhaps
	// again for one that has arrived before; Left for one that is no longer
	// connected, or no longer speaks it, whether it had arrived or not. They are
	// called by Follow and Meet, and return soon.
	Arrived, Left func(peer.ID)
}

// Watch subscribes to what the host learns of its peers, under a name for its
// metrics. Identification comes after every new connection and says what a peer
// speaks. The caller closes the subscription.
func (a *Acquaintances) Watch(name string) (event.Subscription, error) {
	events, err := a.Host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
		new(event.EvtPeerConnectednessChanged),
	}, eventbus.Name(name))
	if err != nil {
		return nil, fmt.Errorf("subscribe to events of the host: %w", err)
	}
	return events, nil
}

// Follow tells of peers that are there, come and go until ctx ends. Errors:
// that of ctx, [ErrEventsEnded].
func (a *Acquaintances) Follow(ctx context.Context, events event.Subscription) error {
	for _, p := range a.Host.Network().Peers() {
		if spoken, err := a.Host.Peerstore().SupportsProtocols(p, a.Protocol); err == nil && len(spoken) > 0 {
			a.Meet(p)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events.Out():
			if !ok {
				return ErrEventsEnded
			}
			a.take(e)
		}
	}
}

func (a *Acquaintances) take(e any) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		if slices.Contains(e.Protocols, a.Protocol) {
			a.Meet(e.Peer)
		}
	case event.EvtPeerProtocolsUpdated:
		if slices.Contains(e.Added, a.Protocol) {
			a.Meet(e.Peer)
		}
		if slices.Contains(e.Removed, a.Protocol) {
			a.Left(e.Peer)
		}
	case event.EvtPeerConnectednessChanged:
		if !a.counts(e.Connectedness) {
			a.Left(e.Peer)
		}
	}
}

// Meet tells of a peer that is known to speak the protocol, if it is connected:
// one that has just begun a session, which the host may not know of yet.
func (a *Acquaintances) Meet(p peer.ID) {
	if a.counts(a.Host.Network().Connectedness(p)) {
		a.Arrived(p)
	}
}

func (a *Acquaintances) counts(c network.Connectedness) bool {
	return c == network.Connected || a.Relayed && c == network.Limited
}
