package node

import (
	"net"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// nearby says whether packets to ip stay on links that this machine is on: its
// loopback, link-local addresses and the subnets of its interfaces. It is what
// can be known of an address before there is a connection to it; which
// connections stay inside the site is for the site to say.
func nearby(ip net.IP) bool {
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.Contains(ip) {
			return true
		}
	}
	return false
}

// nearbyNet is nearby for the address of a connection; false for what has no IP
// address, such as a connection through a relay.
func nearbyNet(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && nearby(tcp.IP)
}

// nearbyAddress is nearby for an address to dial. An address behind a relay is
// where the relayed peer is, which nobody knows: it is not nearby.
func nearbyAddress(a multiaddr.Multiaddr) bool {
	if relayed(a) {
		return false
	}
	ip, err := manet.ToIP(a)
	return err == nil && nearby(ip)
}

// relayed says whether the address leads through a relay.
func relayed(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}
