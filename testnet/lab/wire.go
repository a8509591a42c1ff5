package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Names of interfaces, and the plan of addresses.
const (
	uplink    = "wan"  // a router's towards the core
	lan       = "lan"  // a router's bridge
	port      = "eth0" // a node's only one
	firstNode = 10
)

// downlink names the core's end of a site's uplink.
func downlink(site int) string { return fmt.Sprintf("s%d", site) }

func subnet(site int, host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(10 + site), 0, host})
}

// ends returns the addresses of a site's uplink: the core's and the router's.
func ends(site int) (core, router netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 0, byte(site), 1}), netip.AddrFrom4([4]byte{10, 0, byte(site), 2})
}

// addSite makes a site's router, its LAN and its uplink.
func (l *Lab) addSite(ctx context.Context, i int) error {
	router := l.router(i)
	if err := addNamespace(ctx, router); err != nil {
		return err
	}
	coreEnd, routerEnd := ends(i)
	coreMAC, routerMAC := fmt.Sprintf("02:00:00:00:%02x:01", i), fmt.Sprintf("02:00:00:00:%02x:02", i)
	down := downlink(i)
	if err := ip(ctx, l.core(),
		fmt.Sprintf("link add %s address %s type veth peer name %s address %s netns %s", down, coreMAC, uplink, routerMAC, router),
		fmt.Sprintf("addr add %s/30 dev %s", coreEnd, down),
		fmt.Sprintf("link set %s up", down),
		fmt.Sprintf("neigh add %s lladdr %s dev %s nud permanent", routerEnd, routerMAC, down),
	); err != nil {
		return err
	}
	if err := ip(ctx, router,
		fmt.Sprintf("addr add %s/30 dev %s", routerEnd, uplink),
		fmt.Sprintf("link set %s up", uplink),
		fmt.Sprintf("neigh add %s lladdr %s dev %s nud permanent", coreEnd, coreMAC, uplink),
		fmt.Sprintf("route add default via %s", coreEnd),
		// Without a querier, a bridge that snoops would lose multicasts.
		fmt.Sprintf("link add %s type bridge mcast_snooping 0 forward_delay 0", lan),
		fmt.Sprintf("addr add %s/24 dev %s", subnet(i, 1), lan),
		fmt.Sprintf("link set %s up", lan),
	); err != nil {
		return err
	}
	if err := ip(ctx, l.core(), fmt.Sprintf("route add %s/24 via %s", subnet(i, 0), routerEnd)); err != nil {
		return err
	}
	if err := within(l.core(), func() error { return offloadOff(down) }); err != nil {
		return err
	}
	if err := within(router, func() error { return offloadOff(uplink) }); err != nil {
		return err
	}
	return l.shape(ctx, i)
}

// join plugs a node that is nowhere into a site's LAN.
func (l *Lab) join(ctx context.Context, n *Node, to int) error {
	s := l.sites[to]
	if s.next >= firstNode+MaxNodes {
		return fmt.Errorf("no address is left for another node, at most %d", MaxNodes)
	}
	n.site, n.port, n.address = to, fmt.Sprintf("n%d", s.next), subnet(to, byte(s.next))
	s.next++
	router := l.router(to)
	if err := ip(ctx, router,
		fmt.Sprintf("link add %s type veth peer name %s netns %s", n.port, port, n.namespace),
		fmt.Sprintf("link set %s master %s up", n.port, lan),
	); err != nil {
		return err
	}
	if err := ip(ctx, n.namespace,
		fmt.Sprintf("addr add %s/24 brd + dev %s", n.address, port),
		fmt.Sprintf("link set %s up", port),
		fmt.Sprintf("route add default via %s congctl %s", subnet(to, 1), congestionControl()),
	); err != nil {
		return err
	}
	s.nodes = append(s.nodes, n)
	if err := within(router, func() error { return offloadOff(n.port) }); err != nil {
		return err
	}
	return within(n.namespace, func() error { return offloadOff(port) })
}

// congestionControl is what TCP over uplinks uses: cubic, as most machines do,
// or what every kernel has. It is set for routes, since a namespace may not
// choose for itself.
func congestionControl() string {
	known, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err == nil && slices.Contains(strings.Fields(string(known)), "cubic") {
		return "cubic"
	}
	return "reno"
}

// Move unplugs a node, with all that runs there, and plugs it into another
// site's LAN, where it has another address.
func (l *Lab) Move(ctx context.Context, n *Node, to int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.sites[n.site]
	if err := ip(ctx, l.router(n.site), fmt.Sprintf("link del %s", n.port)); err != nil {
		return fmt.Errorf("move a node: %w", err)
	}
	from.nodes = slices.DeleteFunc(from.nodes, func(at *Node) bool { return at == n })
	if err := l.join(ctx, n, to); err != nil {
		return fmt.Errorf("move a node to site %d: %w", to, err)
	}
	return nil
}
