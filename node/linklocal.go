package node

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Link-local addresses of IPv6 (RFC 4291, 2.5.6) are what two machines on one
// cable have when nobody gave them any. Such an address means something only with
// its zone, the interface of the machine that dials (RFC 4007); written
// /ip6zone/eth0/ip6/fe80::1. A zone is this machine's business: what others say
// of zones is dropped, and this node tells none in its addresses.
//
// libp2p drops every link-local address before it dials, with a zone or without.
// So between dial and the transports such an address bears its zone twice, which
// libp2p takes for no IP address at all; the transports take one away again.

// Bounds: what one dial tries, and of how many interfaces mDNS tells, whose packets
// are small.
const (
	maxZones     = 8
	maxLinkLocal = 32
	maxTold      = 4
)

// zoneOf returns the zone of a multiaddr, "" for none, and what follows.
func zoneOf(a multiaddr.Multiaddr) (zone string, rest multiaddr.Multiaddr) {
	for len(a) > 0 && a[0].Protocol().Code == multiaddr.P_IP6ZONE {
		zone, a = a[0].Value(), a[1:]
	}
	return zone, a
}

// linkLocal says whether a multiaddr has a zone or begins with a link-local
// address of IPv6: it means nothing to others.
func linkLocal(a multiaddr.Multiaddr) bool {
	zone, rest := zoneOf(a)
	return zone != "" || manet.IsIP6LinkLocal(rest)
}

// validateZone says what is wrong with the zone of an address that an operator
// wrote. Whether the interface is there is not asked: it may be plugged in later.
func validateZone(a multiaddr.Multiaddr) error {
	zone, rest := zoneOf(a)
	switch local := manet.IsIP6LinkLocal(rest); {
	case local && zone == "":
		return fmt.Errorf("a link-local address needs the interface of this machine that leads there: /ip6zone/eth0%s", a)
	case len(a)-len(rest) > 1:
		return errors.New("more than one zone")
	case zone != "" && !local:
		return fmt.Errorf("zone %q before what is no link-local address: leave it out", zone)
	}
	return nil
}

// withZones returns addresses as the transports are to be given them: a link-local
// one without a zone, as mDNS finds them, once for each zone. Who a peer is, is
// proven when it answers, so a wrong zone costs a dial.
func withZones(addrs []multiaddr.Multiaddr, cables []cable) []multiaddr.Multiaddr {
	var out, local []multiaddr.Multiaddr
	for _, a := range addrs {
		switch zone, rest := zoneOf(a); {
		case !linkLocal(a):
			out = append(out, a)
		case !manet.IsIP6LinkLocal(rest):
		case zone != "":
			local = append(local, inZone(rest, zone))
		default:
			for _, c := range cables {
				local = append(local, inZone(rest, c.zone))
			}
		}
	}
	local = slices.DeleteFunc(local, func(a multiaddr.Multiaddr) bool { return a == nil })
	return append(out, local[:min(len(local), maxLinkLocal)]...)
}

// inZone returns an address of IPv6 with its zone twice; nil for what is no zone.
func inZone(a multiaddr.Multiaddr, zone string) multiaddr.Multiaddr {
	c, err := multiaddr.NewComponent("ip6zone", zone)
	if err != nil {
		return nil
	}
	return slices.Concat(multiaddr.Multiaddr{*c, *c}, a)
}

// cable is an interface of this machine and its link-local address of IPv6.
type cable struct {
	zone string
	ip   net.IP
}

// cables returns this machine's, in the order of the kernel, where what is
// plugged in comes before what was made of software; at most maxZones.
func cables() (list []cable) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || len(list) == maxZones {
			continue
		}
		at := slices.IndexFunc(addrs, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.To4() == nil && n.IP.IsLinkLocalUnicast()
		})
		if at >= 0 {
			list = append(list, cable{i.Name, addrs[at].(*net.IPNet).IP})
		}
	}
	return list
}

// neighbourly is a host whose network counts its link-local addresses, without
// zones, among those that it listens on: mDNS tells them on the links where they
// mean something. libp2p leaves them out.
type neighbourly struct{ host.Host }

// Network implements host.Host.
func (h neighbourly) Network() network.Network { return neighbourlyNetwork{h.Host.Network()} }

type neighbourlyNetwork struct{ network.Network }

// InterfaceListenAddresses implements network.Network.
func (n neighbourlyNetwork) InterfaceListenAddresses() ([]multiaddr.Multiaddr, error) {
	addrs, err := n.Network.InterfaceListenAddresses()
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(addrs), onCables(n.ListenAddresses(), cables())...), nil
}

// onCables returns the link-local addresses, without zones, on which what listens
// on every address is reached.
func onCables(listen []multiaddr.Multiaddr, cables []cable) (addrs []multiaddr.Multiaddr) {
	for _, a := range listen {
		if len(a) < 2 || a[0].Protocol().Code != multiaddr.P_IP6 || !manet.IsIPUnspecified(a) {
			continue
		}
		for _, c := range cables[:min(len(cables), maxTold)] {
			if ip, err := manet.FromIP(c.ip); err == nil {
				addrs = append(addrs, slices.Concat(ip, a[1:]))
			}
		}
	}
	return addrs
}

// lasting returns what of a connected peer's addresses to remember: none that are
// link-local, but where this node itself reached it.
func lasting(addrs []multiaddr.Multiaddr, c network.Conn) []multiaddr.Multiaddr {
	addrs = slices.DeleteFunc(slices.Clone(addrs), linkLocal)
	if at := c.RemoteMultiaddr(); c.Stat().Direction == network.DirOutbound && linkLocal(at) {
		addrs = append(addrs, at)
	}
	return addrs
}
