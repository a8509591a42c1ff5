package testnet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// newPlaces makes namespaces for one test, or skips it.
func newPlaces(t *testing.T, names ...string) *lab.Places {
	t.Helper()
	p, err := lab.NewPlaces(t.Context(), names...)
	if errors.Is(err, lab.ErrUnavailable) {
		t.Skipf("SKIP: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// wire joins two places a and b by a cable, with an interface to-b at a and to-a at b.
func wire(t *testing.T, p *lab.Places, a, b string) {
	t.Helper()
	configure(t, p, a, fmt.Sprintf("link add to-%s type veth peer name to-%s netns %s", b, a, p.Namespace(b)), fmt.Sprintf("link set to-%s up", b))
	configure(t, p, b, fmt.Sprintf("link set to-%s up", a))
}

func configure(t *testing.T, p *lab.Places, at string, lines ...string) {
	t.Helper()
	if err := p.IP(t.Context(), at, lines...); err != nil {
		t.Fatal(err)
	}
}

// place makes and starts a node at a place, which has the name of the place.
func place(t *testing.T, f *testnet.Fleet, p *lab.Places, name string, args ...string) *testnet.Node {
	t.Helper()
	n, err := f.AddAt(t.Context(), name, p.Exec(name), args...)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// trade has one node publish and another get it.
func trade(t *testing.T, dir string, from, to *testnet.Node) {
	t.Helper()
	tradeSize(t, dir, from, to, 300_000)
}

// tradeSize is trade of a release of size bytes.
func tradeSize(t *testing.T, dir string, from, to *testnet.Node, size int64) {
	t.Helper()
	root, file := filepath.Join(dir, "acme.root"), filepath.Join(dir, "vad.bin")
	must(t, from, "publisher", "create", "acme")
	must(t, from, "publisher", "export", "acme", "--out", root)
	must(t, to, "trust", "add", root)
	must(t, to, "follow", "acme/m")
	randomFile(t, file, size)
	must(t, from, "publish", file, "--model", "acme/m", "--version", "1.0.0")
	if err := to.Until(t.Context(), "it holds the release", func(s api.Status) bool { return model(s).State == api.StateCurrent }); err != nil {
		t.Fatalf("%v\nthe publisher's log ends:\n%s", err, from.LogTail())
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(files(t, to)[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, want %d others", len(got), len(want))
	}
}

// linkLocalOf returns the link-local address of an interface at a place.
func linkLocalOf(t *testing.T, p *lab.Places, at, name string) (ip net.IP) {
	t.Helper()
	if err := p.In(at, func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		addrs, err := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsLinkLocalUnicast() {
				ip = n.IP
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if ip == nil {
		t.Fatalf("%s has no link-local address at %s", name, at)
	}
	return ip
}

func peerID(t *testing.T, n *testnet.Node) string {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.PeerID
}

// peersOf lists whom a node knows.
func peersOf(t *testing.T, n *testnet.Node) (list []api.Peer) {
	t.Helper()
	if err := n.JSON(t.Context(), &list, "peers"); err != nil {
		t.Fatal(err)
	}
	return list
}

// Two machines on one cable, without any address that somebody gave them, find
// each other and trade; an interface that leads elsewhere does no harm.
func TestOneCable(t *testing.T) {
	p := newPlaces(t, "a", "b", "c")
	wire(t, p, "a", "c")
	wire(t, p, "a", "b")
	f, dir := newFleet(t)
	a, b := place(t, f, p, "a"), place(t, f, p, "b")
	trade(t, dir, a, b)
	for _, n := range []*testnet.Node{a, b} {
		s, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(s.Addresses, " "); strings.Contains(all, "/fe80") || strings.Contains(all, "/ip6zone") {
			t.Errorf("%s tells others of %s", n.Name, all)
		}
		for _, peer := range peersOf(t, n) {
			if peer.Connected && (!peer.Local || !strings.Contains(peer.Addresses[0], "/fe80::")) {
				t.Errorf("%s: peer %+v", n.Name, peer)
			}
		}
	}
}

// One that is told the other's link-local address and the interface needs no
// mDNS, over either transport, and remembers it.
func TestBootstrapOverCable(t *testing.T) {
	for name, transport := range map[string]string{"TCP": "tcp/4617", "QUIC": "udp/4617/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			p := newPlaces(t, "a", "b")
			wire(t, p, "a", "b")
			f, dir := newFleet(t)
			a := place(t, f, p, "a", "--no-mdns", "--listen", "/ip6/::/"+transport)
			at := fmt.Sprintf("/ip6zone/to-a/ip6/%s/%s", linkLocalOf(t, p, "a", "to-b"), transport)
			b := place(t, f, p, "b", "--no-mdns", "--listen", "/ip6/::/"+transport, "--bootstrap", at+"/p2p/"+peerID(t, a))
			trade(t, dir, a, b)
			if err := b.Stop(); err != nil {
				t.Fatal(err)
			}
			var book map[string]struct{ Addresses []string }
			data, err := os.ReadFile(filepath.Join(b.Dir, "peers.json"))
			if err == nil {
				err = json.Unmarshal(data, &book)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := book[peerID(t, a)].Addresses; len(got) != 1 || got[0] != at {
				t.Errorf("b remembers %v, want %s", got, at)
			}
			meets(t, b)
			startAgain(t, b)
			if err := b.Until(t.Context(), "it is connected again", func(s api.Status) bool { return s.Peers > 0 }); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Nodes whose only addresses are unique local ones of IPv6 (RFC 4193), without a
// default route, trade over either transport.
func TestIslandOfIPv6(t *testing.T) {
	for name, transport := range map[string]string{"TCP": "tcp/4617", "QUIC": "udp/4617/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			p := newPlaces(t, "a", "b")
			wire(t, p, "a", "b")
			configure(t, p, "a", "addr add fd00:d0::a/64 dev to-b")
			configure(t, p, "b", "addr add fd00:d0::b/64 dev to-a")
			f, dir := newFleet(t)
			a := place(t, f, p, "a", "--no-mdns", "--listen", "/ip6/fd00:d0::a/"+transport)
			b := place(t, f, p, "b", "--no-mdns", "--listen", "/ip6/fd00:d0::b/"+transport, "--bootstrap", address(t, a))
			trade(t, dir, a, b)
			for _, peer := range peersOf(t, b) {
				if peer.Connected && !strings.HasPrefix(peer.Addresses[0], "/ip6/fd00:d0::a/"+transport) {
					t.Errorf("b is connected over %v", peer.Addresses)
				}
			}
		})
	}
}
