package node

import (
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// Outside TCP comes first, then QUIC after a head start, then relays; nearby
// QUIC comes first.
func TestRanker(t *testing.T) {
	const via = "/p2p/12D3KooWCWHSSY57AxAfzJ5uDYwPsCHREw2q7hwNm4Asj5benZau/p2p-circuit"
	order := []string{
		"/ip6/2001:db8::1/tcp/1", "/ip4/11.0.0.1/tcp/1", "/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/11.0.0.1/udp/1/quic-v1", "/ip4/11.0.0.9/tcp/1" + via,
	}
	none := func(multiaddr.Multiaddr) bool { return false }
	for _, preset := range []Preset{WAN, Narrow, Satellite} {
		mixed := addrs(order[4], order[3], order[1], order[2], order[0])
		ranked := preset.ranker(none)(mixed)
		for i, r := range ranked {
			if r.Addr.String() != order[i] || (i > 0 && r.Delay <= ranked[i-1].Delay) {
				t.Errorf("%s: %d is %s after %s", preset, i, r.Addr, r.Delay)
			}
		}
		fallback := preset.pace().fallback
		if got := ranked[2].Delay - ranked[1].Delay; got != fallback || ranked[4].Delay < fallback {
			t.Errorf("%s: QUIC %s after TCP, want %s", preset, got, fallback)
		}
		if alone := preset.ranker(none)(addrs(order[4])); len(alone) != 1 || alone[0].Delay != 0 {
			t.Errorf("%s: a relay is all there is: %v", preset, alone)
		}
		if len(preset.ranker(none)(nil)) != 0 {
			t.Errorf("%s: no address", preset)
		}
	}
	near := func(a multiaddr.Multiaddr) bool { return a.String()[:8] == "/ip4/10." }
	ranked := WAN.ranker(near)(addrs("/ip4/11.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/udp/1/quic-v1"))
	at := slices.IndexFunc(ranked, func(r network.AddrDelay) bool { return r.Delay == 0 })
	if ranked[at].Addr.String() != "/ip4/10.0.0.1/udp/1/quic-v1" || ranked[2].Addr.String() != "/ip4/11.0.0.1/tcp/1" {
		t.Errorf("nearby: %v", ranked)
	}
}

// Rations are spent at once and come back one by one.
func TestRation(t *testing.T) {
	r := ration{left: 3, most: 3, each: time.Minute}
	now := time.Now()
	for i, test := range []struct {
		at time.Duration
		ok bool
	}{{0, true}, {0, true}, {1, true}, {2, false}, {59 * time.Second, false}, {time.Minute, true}, {time.Minute, false}, {time.Hour, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, false}} {
		ok, again := r.take(now.Add(test.at))
		if ok != test.ok || (!ok && !again.After(now.Add(test.at))) {
			t.Errorf("%d: at %s: %t, again at %s", i, test.at, ok, again.Sub(now))
		}
	}
}
