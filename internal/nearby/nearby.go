// Package nearby tells from an IP address alone whether packets to it stay on
// links that this machine is on. It is what can be known before there is a
// connection, or without a site; which connections stay inside a site is for
// package site to say. A private address alone means nothing here: it may lie
// behind a VPN over a satellite.
package nearby

import "net"

// IP says whether ip is a loopback or link-local address, or inside a subnet
// that one of this machine's interfaces is on; false if the interfaces cannot
// be listed. It asks the system each time. Safe for concurrent use.
func IP(ip net.IP) bool {
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
