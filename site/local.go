package site

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// nearness is what is known of where a connection leads.
type nearness int

const (
	far    nearness = iota // out of the site
	likely                 // by its address in the site, unless it takes too long
	near                   // in the site
)

// Local says whether a connection stays inside the site. Labels decide where
// both ends have one. Else it is local if it stays on this machine, is
// link-local, or leads into a subnet that one of this machine's interfaces is
// on; except to a peer whose answers took too long for a local network. A
// relayed connection is never local. Cheap, and safe for concurrent use.
func (s *Site) Local(c network.Conn) bool {
	switch s.nearness(c) {
	case near:
		return true
	case likely:
		return !s.vetoes.stands(c.RemotePeer())
	}
	return false
}

func (s *Site) nearness(c network.Conn) nearness {
	if relayed(c) {
		return far
	}
	if s.cfg.Label != "" {
		if label := s.LabelOf(c.RemotePeer()); label == s.cfg.Label {
			return near
		} else if label != "" {
			return far
		}
	}
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return far // a name
	}
	switch {
	case ip.IsLoopback():
		return near
	case ip.IsLinkLocalUnicast() || s.subnets.contain(ip):
		return likely
	}
	return far
}

func relayed(c network.Conn) bool {
	if c.Stat().Limited {
		return true
	}
	_, err := c.RemoteMultiaddr().ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}

// subnetAge is how long the addresses of this machine's interfaces are believed.
const subnetAge = 10 * time.Second

// subnets are the networks that this machine is on. Safe for concurrent use.
type subnets struct {
	list func() ([]net.Addr, error)

	mu    sync.Mutex
	known []netip.Prefix // guarded by mu
	until time.Time      // guarded by mu
}

func (n *subnets) contain(ip net.IP) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	addr = addr.Unmap()
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); !now.Before(n.until) {
		n.until = now.Add(subnetAge)
		if addrs, err := n.list(); err == nil {
			n.known = prefixes(addrs)
		}
	}
	for _, p := range n.known {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func prefixes(addrs []net.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}
