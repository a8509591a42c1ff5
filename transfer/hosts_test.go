package transfer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
)

// node is a host with a Transfer that runs.
type node struct {
	*Transfer
	host  host.Host
	store *memStore
	bad   map[peer.ID]error // what OnBadPeer heard last
	mu    *sync.Mutex
	stop  func()
}

// badPeer returns why the peer was dropped.
func (n *node) badPeer(id peer.ID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bad[id]
}

// newHost returns a host on loopback TCP.
func newHost(tb testing.TB) host.Host {
	tb.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.DisableRelay(), libp2p.DisableMetrics(),
	)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

// newNode runs a Transfer on the host until the test ends.
func newNode(tb testing.TB, h host.Host, s *memStore, edit ...func(*Config)) *node {
	tb.Helper()
	n := &node{host: h, store: s, bad: map[peer.ID]error{}, mu: &sync.Mutex{}}
	cfg := Config{Host: h, Store: s, OnBadPeer: func(id peer.ID, why error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.bad[id] = why
	}}
	for _, e := range edit {
		e(&cfg)
	}
	var err error
	if n.Transfer, err = New(cfg); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := n.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	n.stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	tb.Cleanup(n.stop)
	return n
}

func connect(tb testing.TB, a, b host.Host) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		tb.Fatal(err)
	}
}

// meet connects each of the nodes with each other.
func meet(tb testing.TB, nodes ...*node) {
	tb.Helper()
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			connect(tb, a.host, b.host)
		}
	}
}

// link is a simulated one.
type link struct {
	bitsPerSecond int
	latency       time.Duration // one way
}

// simHosts returns hosts on simulated links, one for each; for use in a
// synctest bubble.
func simHosts(t *testing.T, links ...link) []host.Host {
	t.Helper()
	w := &weather{}
	w.set(func(from, to int) time.Duration { return max(links[from].latency, links[to].latency) })
	return simWeather(t, w, links...)
}

// simWeather is simHosts with delays that the weather decides.
func simWeather(t *testing.T, w *weather, links ...link) []host.Host {
	t.Helper()
	var numbers sync.Map // of hosts, by address
	net := &simnet.Simnet{LatencyFunc: func(p *simnet.Packet) time.Duration {
		from, _ := numbers.Load(p.From.String())
		to, known := numbers.Load(p.To.String())
		if !known {
			return 0
		}
		return (*w.delay.Load())(from.(int), to.(int))
	}}
	hosts := make([]host.Host, len(links))
	for i, l := range links {
		ip := simnet.IntToPublicIPv4(i).String()
		numbers.Store(ip+":8000", i)
		settings := simnet.LinkSettings{BitsPerSecond: l.bitsPerSecond}
		h, err := libp2p.New(
			libp2p.ListenAddrStrings("/ip4/"+ip+"/udp/8000/quic-v1"),
			simlibp2p.QUICSimnet(net, simnet.NodeBiDiLinkSettings{Downlink: settings, Uplink: settings}),
			libp2p.DisableIdentifyAddressDiscovery(), libp2p.DisableMetrics(), libp2p.DisableRelay(),
		)
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = h
	}
	net.Start()
	t.Cleanup(func() {
		var errs []error
		for _, h := range hosts {
			errs = append(errs, h.Close())
		}
		net.Close()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
	return hosts
}
