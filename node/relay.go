package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/multiformats/go-multiaddr"
)

// What this node relays for others, in libp2p's terms (circuit relay v2): a few
// who cannot be reached reserve a place, and others reach them through it. A
// circuit ends after relayedBytes in one direction or relayedFor; a transfer over
// it goes on over the next one, since nothing that came is asked for again.
const (
	reservations      = 16
	reservationsPerIP = 4
	circuitsPerPeer   = 4
	relayedBytes      = 4 << 20
	relayedFor        = 15 * time.Minute
	reservedFor       = 2 * time.Hour
)

// Where this node is reached through others.
const (
	maxRelays     = 2
	relayAttempt  = 2 * time.Minute
	relayRetry    = 10 * time.Minute // after a refusal
	renewEarly    = reservedFor / 4
	relayInterval = time.Minute
)

// serveRelay makes the node a relay for others until the host closes. Whoever
// listens offers it; those who ask choose whom they could dial.
func serveRelay(h host.Host) (*relayv2.Relay, error) {
	r, err := relayv2.New(h,
		relayv2.WithResources(relayv2.Resources{
			Limit:          &relayv2.RelayLimit{Duration: relayedFor, Data: relayedBytes},
			ReservationTTL: reservedFor, MaxReservations: reservations, MaxCircuits: circuitsPerPeer, BufferSize: 4 << 10,
			MaxReservationsPerIP: reservationsPerIP, MaxReservationsPerASN: reservations,
		}),
		// A mesh without any Internet has no public addresses.
		relayv2.WithReservationAddressFilter(func(multiaddr.Multiaddr) bool { return true }))
	if err != nil {
		return nil, fmt.Errorf("relay for others: %w", err)
	}
	return r, nil
}

// relays keeps this node reachable through peers that it dialled, as long as
// nobody can reach it directly. Safe for concurrent use.
type relays struct {
	wake chan struct{} // buffered: peers have changed

	mu       sync.Mutex // owns the rest
	hidden   bool       // nobody can dial this node
	reserved map[peer.ID]reservation
	refused  map[peer.ID]time.Time // until when
}

type reservation struct {
	addrs []multiaddr.Multiaddr
	renew time.Time
}

// newRelays returns those of a node that listens nowhere, or somewhere.
func newRelays(listens bool) *relays {
	return &relays{wake: make(chan struct{}, 1), hidden: !listens, reserved: make(map[peer.ID]reservation), refused: make(map[peer.ID]time.Time)}
}

// addrs is libp2p's AddrsFactory: what this node listens on, and where it is
// reached through others.
func (r *relays) addrs(own []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	out := slices.DeleteFunc(slices.Clone(own), func(a multiaddr.Multiaddr) bool {
		return len(a) == 1 && a[0].Protocol().Code == multiaddr.P_CIRCUIT
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.reserved {
		out = append(out, at.addrs...)
	}
	return out
}

// seen notes where a peer outside saw this node, and whether it had dialled it: a
// node that is seen at an address that it does not have is behind a NAT, unless
// somebody outside could dial it directly.
func (r *relays) seen(c network.Conn, observed multiaddr.Multiaddr, own func(multiaddr.Multiaddr) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.Stat().Limited || relayed(c.RemoteMultiaddr()):
	case c.Stat().Direction == network.DirInbound:
		r.hidden = false
	case observed != nil && !own(observed):
		r.hidden = true
	}
}

// uses says whether a peer is one of the relays.
func (r *relays) uses(id peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.reserved[id]
	return ok
}

// keepRelays reserves places while this node is hidden, and renews them.
func (f *finder) keepRelays(ctx context.Context) error {
	tick := time.NewTicker(relayInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-f.relays.wake:
		}
		for _, id := range f.relays.due(time.Now(), f.connected(), f.offersRelay) {
			f.reserve(ctx, id)
		}
	}
}

// due forgets relays that are gone and returns whom to ask now: relays whose
// reservation ends soon, and as many new ones as there should be, of the peers
// that this node dialled and so others can dial as well.
func (r *relays) due(now time.Time, connected []contact, offers func(peer.ID) bool) (ask []peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, at := range r.reserved {
		switch {
		case !isConnected(connected, id):
			delete(r.reserved, id)
		case r.hidden && !now.Before(at.renew):
			ask = append(ask, id)
		case !r.hidden && !now.Before(at.renew.Add(renewEarly)):
			delete(r.reserved, id) // it has run out
		}
	}
	for id, until := range r.refused {
		if !now.Before(until) {
			delete(r.refused, id)
		}
	}
	for _, c := range connected {
		_, refused := r.refused[c.id]
		_, have := r.reserved[c.id]
		if r.hidden && len(r.reserved)+len(ask) < maxRelays && c.dialled && !c.local && !refused && !have && offers(c.id) {
			ask = append(ask, c.id)
		}
	}
	return ask
}

func (f *finder) offersRelay(id peer.ID) bool {
	have, err := f.host.Peerstore().SupportsProtocols(id, protocol.ID(proto.ProtoIDv2Hop))
	return err == nil && len(have) > 0
}

// reserve asks a peer for a place, or for more time in it.
func (f *finder) reserve(ctx context.Context, id peer.ID) {
	ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, "reserve"), relayAttempt)
	defer cancel()
	got, err := client.Reserve(ctx, f.host, peer.AddrInfo{ID: id})
	var addrs []multiaddr.Multiaddr
	if err == nil {
		addrs = relayAddresses(id, f.host.Network().ConnsToPeer(id))
	}
	f.relays.mu.Lock()
	defer f.relays.mu.Unlock()
	if err != nil || len(addrs) == 0 {
		delete(f.relays.reserved, id)
		f.relays.refused[id] = time.Now().Add(relayRetry)
		f.log.Debug("peer does not relay", slog.String("peer", id.String()), slog.Any("error", err))
		return
	}
	// Wall clocks differ: only the duration counts.
	lasts := min(max(time.Until(got.Expiration), time.Minute), reservedFor)
	f.relays.reserved[id] = reservation{addrs: addrs, renew: time.Now().Add(lasts - min(renewEarly, lasts/2))}
	f.log.Info("reachable through a peer", slog.String("peer", id.String()))
}

// relayAddresses returns the addresses of this node behind a relay: where the
// relay was dialled itself, so that nothing it claims is passed on.
func relayAddresses(id peer.ID, conns []network.Conn) (addrs []multiaddr.Multiaddr) {
	for _, c := range conns {
		a := c.RemoteMultiaddr()
		if ipOf(a) == nil || linkLocal(a) || c.Stat().Direction != network.DirOutbound {
			continue
		}
		if p2p, err := multiaddr.NewMultiaddr("/p2p/" + id.String() + "/p2p-circuit"); err == nil {
			addrs = append(addrs, a.Encapsulate(p2p))
		}
	}
	return addrs
}

// anyRoad is a host whose streams may run over relays. libp2p asks for a word of
// consent, since circuits are bounded; what dunlin says on them goes on elsewhere
// where they end.
type anyRoad struct{ host.Host }

// NewStream implements host.Host.
func (h anyRoad) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	return h.Host.NewStream(network.WithAllowLimitedConn(ctx, "dunlin"), p, protocols...)
}
