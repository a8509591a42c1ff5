package node

import (
	"bytes"
	"net"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// deliver has one node publish and another get it, which proves that they met.
func deliver(t *testing.T, from, to *bystander) {
	t.Helper()
	root := must[api.PublisherRoot](t, from, "publisher/create", api.PublisherRequest{Name: "acme"}).Root
	must[api.Publisher](t, to, "trust", api.TrustRequest{Root: root})
	must[api.Rules](t, to, "follow", api.RulesRequest{Models: []string{"acme/vad"}})
	content := random(7, 300_000)
	publish(t, from, "acme/vad", "1.0.0", "vad.bin", content)
	if got := arrive(t, to, "acme/vad", "1.0.0"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes arrived", len(got))
	}
}

// Nodes of two sites that know only a third node, which holds nothing and
// believes nobody, find each other through it.
func TestMeetThroughThird(t *testing.T) {
	hub := start(t, newHome(t, func(c *Config) { c.Site, c.Preset = "hub", WAN }), nil)
	address := hub.address(t)
	at := func(site string) *bystander {
		return start(t, newHome(t, func(c *Config) { c.Site, c.Preset, c.Bootstrap = site, WAN, []string{address} }), nil)
	}
	deliver(t, at("shore"), at("ship"))
	for _, m := range must[api.Status](t, hub, "status", nil).Models {
		t.Errorf("the hub has %+v", m)
	}
}

// Every transport and family of addresses will do alone.
func TestRoads(t *testing.T) {
	for name, listen := range map[string]string{
		"TCP over IPv4": "/ip4/127.0.0.1/tcp/0", "QUIC over IPv4": "/ip4/127.0.0.1/udp/0/quic-v1",
		"TCP over IPv6": "/ip6/::1/tcp/0", "QUIC over IPv6": "/ip6/::1/udp/0/quic-v1",
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
				t.Skipf("no IPv6 here: %v", err)
			} else if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			a := start(t, newHome(t, func(c *Config) { c.Listen, c.Preset = []string{listen}, WAN }), nil)
			address := a.address(t)
			b := start(t, newHome(t, func(c *Config) { c.Listen, c.Preset, c.Bootstrap = []string{listen}, WAN, []string{address} }), nil)
			deliver(t, a, b)
		})
	}
}
