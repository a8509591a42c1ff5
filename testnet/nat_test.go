package testnet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// A router that hides a network: what goes out has its address, and nothing new
// comes in. The port of a sender is kept, whoever it sends to (RFC 4787 calls that
// endpoint-independent mapping), as home routers mostly do.
const hiding = `
table ip nat {
	chain out {
		type nat hook postrouting priority 100;
		oifname "to-net" masquerade
	}
}
table ip fence {
	chain in {
		type filter hook input priority 0;
		iifname "to-net" drop
	}
	chain through {
		type filter hook forward priority 0;
		iifname "to-net" ct state new drop
	}
}`

// newHidden lays a network without any Internet: a hub that everybody reaches, and
// two places a and b, each behind its own NAT. The addresses look public, since
// libp2p punches holes for no others.
func newHidden(t *testing.T) *lab.Places {
	t.Helper()
	p := newPlaces(t, "net", "hub", "na", "nb", "a", "b")
	for name, subnet := range map[string]string{"hub": "11.0.1.", "na": "11.0.2.", "nb": "11.0.3."} {
		wire(t, p, "net", name)
		configure(t, p, "net", "addr add "+subnet+"254/24 dev to-"+name)
		configure(t, p, name, "addr add "+subnet+"1/24 dev to-net", "route add 11.0.0.0/16 via "+subnet+"254")
	}
	for inside, nat := range map[string]string{"a": "na", "b": "nb"} {
		subnet := map[string]string{"a": "10.1.0.", "b": "10.2.0."}[inside]
		wire(t, p, nat, inside)
		configure(t, p, nat, "addr add "+subnet+"1/24 dev to-"+inside)
		configure(t, p, inside, "addr add "+subnet+"2/24 dev to-"+nat, "route add default via "+subnet+"1")
		switch err := p.Filter(t.Context(), nat, hiding); {
		case errors.Is(err, lab.ErrUnavailable):
			t.Skipf("SKIP: %v", err)
		case err != nil:
			t.Fatal(err)
		}
	}
	return p
}

// roads returns the addresses at which a node is connected to another one.
func roads(t *testing.T, n *testnet.Node, id string) (list []string) {
	t.Helper()
	for _, p := range peersOf(t, n) {
		if p.ID == id && p.Connected {
			list = append(list, p.Addresses...)
		}
	}
	return list
}

// Two nodes behind NAT, who know only a third one, trade through it; where they
// use QUIC they come to be connected directly.
func TestBehindNAT(t *testing.T) {
	for name, test := range map[string]struct {
		transport string
		direct    bool
		size      int64
	}{
		"through the relay": {"tcp/4617", false, 300_000},
		// libp2p punches once for each connection through a relay, and not in its
		// first seconds. More than one circuit carries makes for another one.
		"by hole punching": {"udp/4617/quic-v1", true, 10_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			p := newHidden(t)
			f, dir := newFleet(t)
			listen := []string{"--no-mdns", "--listen", "/ip4/0.0.0.0/" + test.transport}
			hub := place(t, f, p, "hub", listen...)
			at := "/ip4/11.0.1.1/" + test.transport + "/p2p/" + peerID(t, hub)
			a := place(t, f, p, "a", append(listen, "--bootstrap", at)...)
			b := place(t, f, p, "b", append(listen, "--bootstrap", at)...)
			tradeSize(t, dir, a, b, test.size)
			s, err := hub.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Models) > 0 {
				t.Errorf("the hub has %+v", s.Models)
			}
			if !test.direct {
				if at := roads(t, b, peerID(t, a)); len(at) != 1 || !strings.Contains(at[0], "/p2p-circuit") {
					t.Errorf("b reaches a over %v", at)
				}
				return
			}
			if err := b.Until(t.Context(), "it is connected directly", func(api.Status) bool {
				at := roads(t, b, peerID(t, a))
				return len(at) > 0 && strings.HasPrefix(at[0], "/ip4/11.0.2.1/") && !strings.Contains(at[0], "/p2p-circuit")
			}); err != nil {
				t.Fatalf("%v\nb reaches a over %v; a's log ends:\n%s", err, roads(t, b, peerID(t, a)), a.LogTail())
			}
		})
	}
}

// Nodes that want to know nobody but their bootstrap nodes stay apart, behind NAT
// as elsewhere, and have what these hold.
func TestNoContactsBehindNAT(t *testing.T) {
	p := newHidden(t)
	f, dir := newFleet(t)
	hub := place(t, f, p, "hub", "--no-mdns", "--listen", "/ip4/0.0.0.0/tcp/4617")
	at := "/ip4/11.0.1.1/tcp/4617/p2p/" + peerID(t, hub)
	a := place(t, f, p, "a", "--no-mdns", "--no-contacts", "--bootstrap", at)
	b := place(t, f, p, "b", "--no-mdns", "--no-contacts", "--bootstrap", at)
	trade(t, dir, hub, a)
	for _, n := range []*testnet.Node{a, b} {
		if err := n.Until(t.Context(), "it knows the hub", func(s api.Status) bool { return s.Peers == 1 }); err != nil {
			t.Fatal(err)
		}
		if list := peersOf(t, n); len(list) != 1 || list[0].ID != peerID(t, hub) {
			t.Errorf("%s knows %+v", n.Name, list)
		}
	}
}
