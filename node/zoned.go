package node

import (
	"context"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// canDial is CanDial of a transport that knows nothing of zones, for addresses
// with one.
func canDial(can func(multiaddr.Multiaddr) bool, a multiaddr.Multiaddr) bool {
	zone, rest := zoneOf(a)
	return can(rest) && (zone == "" || manet.IsIP6LinkLocal(rest))
}

// once takes all zones but one away.
func once(a multiaddr.Multiaddr) multiaddr.Multiaddr {
	for len(a) > 1 && a[0].Protocol().Code == multiaddr.P_IP6ZONE && a[1].Protocol().Code == multiaddr.P_IP6ZONE {
		a = a[1:]
	}
	return a
}

// zonedTCP is libp2p's TCP that also dials addresses with a zone.
type zonedTCP struct {
	*tcp.TcpTransport
}

// CanDial implements transport.Transport.
func (t zonedTCP) CanDial(a multiaddr.Multiaddr) bool { return canDial(t.TcpTransport.CanDial, a) }

// Dial implements transport.Transport.
func (t zonedTCP) Dial(ctx context.Context, a multiaddr.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.TcpTransport.Dial(ctx, once(a), p)
}

// DialWithUpdates implements transport.DialUpdater.
func (t zonedTCP) DialWithUpdates(ctx context.Context, a multiaddr.Multiaddr, p peer.ID, updates chan<- transport.DialUpdate) (transport.CapableConn, error) {
	return t.TcpTransport.DialWithUpdates(ctx, once(a), p, updates)
}

// zonedQUIC is libp2p's QUIC that also dials addresses with a zone.
type zonedQUIC struct {
	transport.Transport
}

func newQUIC(key crypto.PrivKey, conns *quicreuse.ConnManager, psk pnet.PSK, gater connmgr.ConnectionGater, resources network.ResourceManager) (zonedQUIC, error) {
	t, err := libp2pquic.NewTransport(key, conns, psk, gater, resources)
	return zonedQUIC{t}, err
}

// ListenOrder is libp2p's: other transports may share the socket.
func (zonedQUIC) ListenOrder() int { return libp2pquic.ListenOrder }

// CanDial implements transport.Transport.
func (t zonedQUIC) CanDial(a multiaddr.Multiaddr) bool { return canDial(t.Transport.CanDial, a) }

// Dial implements transport.Transport.
func (t zonedQUIC) Dial(ctx context.Context, a multiaddr.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.Transport.Dial(ctx, once(a), p)
}
