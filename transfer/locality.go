package transfer

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/internal/nearby"
)

// linkOf returns the class of a connection.
func (t *Transfer) linkOf(c network.Conn) Link { return t.pathOf(c).Link }

// pathOf returns the link of a connection, in this order: inside the site it is
// LAN, without bounds; what the operator named is what was named; without a
// site, what is near by the looks of it is LAN; the rest is on the default link.
func (t *Transfer) pathOf(c network.Conn) Path {
	if t.cfg.Site != nil && t.cfg.Site.Local(c) {
		return Path{Link: LAN}
	}
	rest := Path{Link: t.cfg.Link}
	if t.cfg.Paths != nil {
		rest = t.cfg.Paths.Path(c)
	}
	if !rest.Named && t.cfg.Site == nil && looksNear(c) {
		return Path{Link: LAN}
	}
	return rest
}

// looksNear says whether the other end is near by its address. A relay, or a
// name, is not.
func looksNear(c network.Conn) bool {
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	return err == nil && nearby.IP(ip)
}

// linkTo returns the class of the cheapest connection to a peer.
func (t *Transfer) linkTo(id peer.ID) Link {
	best, found := t.cfg.Link, false
	for _, c := range t.cfg.Host.Network().ConnsToPeer(id) {
		if l := t.linkOf(c); !found || l.rank() < best.rank() {
			best, found = l, true
		}
	}
	return best
}
