package node

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A link-local address without a zone is tried in each, one with a zone there, and
// the rest stays as it is. None of them is one that libp2p knows for link-local;
// the transports get what the operator would write.
func TestWithZones(t *testing.T) {
	two := []cable{{zone: "eth0"}, {zone: "eth1"}}
	for in, want := range map[string][]string{
		"/ip4/192.0.2.1/tcp/1":                     {"/ip4/192.0.2.1/tcp/1"},
		"/ip6/2001:db8::1/tcp/1":                   {"/ip6/2001:db8::1/tcp/1"},
		"/ip6/fe80::1/tcp/1":                       {"/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip6zone/eth1/ip6/fe80::1/tcp/1"},
		"/ip6zone/usb0/ip6/fe80::1/udp/1/quic-v1":  {"/ip6zone/usb0/ip6/fe80::1/udp/1/quic-v1"},
		"/ip6zone/a/ip6zone/b/ip6/fe80::1/tcp/1":   {"/ip6zone/b/ip6/fe80::1/tcp/1"},
		"/ip6zone/eth0/ip6/2001:db8::1/tcp/1":      nil,
		"/ip6zone/eth0/ip4/192.0.2.1/tcp/1":        nil,
		"/ip6zone/eth0":                            nil,
		"/ip6zone/eth0/ip6zone/eth0/dns/a.b/tcp/1": nil,
	} {
		var got []string
		for _, a := range withZones(addrs(in), two) {
			if manet.IsIP6LinkLocal(a) {
				t.Errorf("%s: libp2p would drop %s", in, a)
			}
			got = append(got, once(a).String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
	many := slices.Repeat(addrs("/ip6/fe80::1/tcp/1"), 1000)
	if got := withZones(many, two); len(got) != maxLinkLocal {
		t.Errorf("%d addresses of a peer that names 1000", len(got))
	}
	if got := withZones(many, nil); len(got) != 0 {
		t.Errorf("%v without any interface", got)
	}
}

// The transports take link-local addresses with a zone, and no other address with one.
func TestCanDialZones(t *testing.T) {
	yes := func(multiaddr.Multiaddr) bool { return true }
	for text, want := range map[string]bool{
		"/ip6zone/eth0/ip6zone/eth0/ip6/fe80::1/tcp/1": true, "/ip6/2001:db8::1/tcp/1": true,
		"/ip6zone/eth0/ip6/2001:db8::1/tcp/1": false, "/ip6zone/eth0/ip4/192.0.2.1/tcp/1": false,
	} {
		if got := canDial(yes, addrs(text)[0]); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if canDial(func(multiaddr.Multiaddr) bool { return false }, addrs("/ip6zone/eth0/ip6/fe80::1/tcp/1")[0]) {
		t.Error("an address that the transport itself does not dial")
	}
}

// mDNS is told link-local addresses of what listens everywhere, without zones.
func TestOnCables(t *testing.T) {
	two := []cable{{"eth0", net.ParseIP("fe80::1")}, {"eth1", net.ParseIP("fe80::2")}}
	listen := addrs("/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip6/::/udp/1/quic-v1", "/ip6/2001:db8::1/tcp/1")
	want := []string{"/ip6/fe80::1/tcp/1", "/ip6/fe80::2/tcp/1", "/ip6/fe80::1/udp/1/quic-v1", "/ip6/fe80::2/udp/1/quic-v1"}
	if got := textsOf(onCables(listen, two)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := onCables(listen, slices.Repeat(two, 10)); len(got) != 2*maxTold {
		t.Errorf("%d addresses of 20 interfaces", len(got))
	}
}

// What an operator writes with a zone that is missing or means nothing is refused,
// and the error says what to write.
func TestValidateZone(t *testing.T) {
	const id = "/p2p/12D3KooWCD9eTZrL1KhQAjsQAn4Bfscv1Z8mh8CCrojYaTMupjTo"
	for address, want := range map[string]string{
		"/ip6zone/eth0/ip6/fe80::1/tcp/4617":              "",
		"/ip6zone/eth0/ip6/fe80::1/udp/4617/quic-v1":      "",
		"/ip6/fd00::1/tcp/4617":                           "",
		"/ip6/fe80::1/tcp/4617":                           "/ip6zone/eth0/ip6/fe80::1/tcp/4617",
		"/ip6zone/eth0/ip6/fd00::1/tcp/4617":              `zone "eth0"`,
		"/ip6zone/eth0/ip6zone/eth0/ip6/fe80::1/tcp/4617": "more than one zone",
	} {
		c := DefaultConfig()
		c.Bootstrap = []string{address + id}
		if err := c.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	c := DefaultConfig()
	c.Listen = []string{"/ip6/fe80::1/tcp/4617"}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "listen on /ip6/::/tcp/") {
		t.Errorf("listening on a link-local address: %v", err)
	}
}
