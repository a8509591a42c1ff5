package node

import (
	"net"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/internal/nearby"
)

// nearbyNet is [nearby.IP] for the address of a connection; false for what has no IP
// address, such as a connection through a relay.
func nearbyNet(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && nearby.IP(tcp.IP)
}

// nearbyAddress is [nearby.IP] for an address to dial. An address behind a relay is
// where the relayed peer is, which nobody knows: it is not nearby.
func nearbyAddress(a multiaddr.Multiaddr) bool {
	if relayed(a) {
		return false
	}
	ip, err := manet.ToIP(a)
	return err == nil && nearby.IP(ip)
}

// relayed says whether the address leads through a relay.
func relayed(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}
