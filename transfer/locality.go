package transfer

import (
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"
)

// linkOf returns the class of a connection: LAN inside the site, the class
// configured for the rest. Without a site that is what lies on this machine, is
// link-local, or is inside a subnet that one of this machine's interfaces is on.
// A private address alone means nothing: it may lie behind a VPN over a
// satellite.
func (t *Transfer) linkOf(c network.Conn) Link {
	if t.cfg.Site != nil {
		if t.cfg.Site.Local(c) {
			return LAN
		}
		return t.cfg.Link
	}
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return t.cfg.Link // a relay, or a name
	}
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return LAN
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return t.cfg.Link
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.Contains(ip) {
			return LAN
		}
	}
	return t.cfg.Link
}
