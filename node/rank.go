package node

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"
)

// Pauses between addresses of one kind (RFC 8305 says 250 ms), and until a
// relay is tried after the last direct address.
const (
	nextAddress = 250 * time.Millisecond
	relayPause  = time.Second
)

// ranker returns the order in which the addresses of a peer are dialled: for
// peers nearby that of libp2p, which ends on QUIC; for the rest TCP over IPv6,
// TCP over IPv4, QUIC, and relays only after all that. TCP goes first outside
// because libp2p's QUIC says something every 15 s for as long as the connection
// lasts (about 700 bytes a minute), and this cannot be changed. QUIC is for
// where TCP does not get through.
func (p Preset) ranker(near func(multiaddr.Multiaddr) bool) network.DialRanker {
	if p == LAN {
		return swarm.DefaultDialRanker
	}
	fallback := p.pace().fallback
	return func(addrs []multiaddr.Multiaddr) []network.AddrDelay {
		var inside, outside []multiaddr.Multiaddr
		for _, a := range addrs {
			if near(a) {
				inside = append(inside, a)
			} else {
				outside = append(outside, a)
			}
		}
		ranked := swarm.DefaultDialRanker(inside)
		var delay time.Duration
		for _, d := range ranked {
			delay = max(delay, d.Delay+nextAddress)
		}
		slices.SortStableFunc(outside, func(a, b multiaddr.Multiaddr) int { return kindOf(a) - kindOf(b) })
		last := -1
		for _, a := range outside {
			kind := kindOf(a)
			if last >= 0 {
				switch {
				case kind == viaRelay && last != viaRelay:
					delay += relayPause + fallback/2
				case kind >= quicIP6 && last < quicIP6:
					delay += fallback
				default:
					delay += nextAddress
				}
			}
			ranked = append(ranked, network.AddrDelay{Addr: a, Delay: delay})
			last = kind
		}
		return ranked
	}
}

// Kinds of addresses outside, in the order in which they are dialled.
const (
	tcpIP6 = iota
	tcpIP4
	quicIP6
	quicIP4
	otherKind
	viaRelay
)

func kindOf(a multiaddr.Multiaddr) int {
	has := func(code int) bool { _, err := a.ValueForProtocol(code); return err == nil }
	switch {
	case relayed(a):
		return viaRelay
	case has(multiaddr.P_TCP) && has(multiaddr.P_IP6):
		return tcpIP6
	case has(multiaddr.P_TCP) && has(multiaddr.P_IP4):
		return tcpIP4
	case has(multiaddr.P_QUIC_V1) && has(multiaddr.P_IP6):
		return quicIP6
	case has(multiaddr.P_QUIC_V1) && has(multiaddr.P_IP4):
		return quicIP4
	default:
		return otherKind
	}
}
