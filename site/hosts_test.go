package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestMain(m *testing.M) {
	if raced.Enabled {
		runtime.GOMAXPROCS(1) // https://go.dev/issue/78156
	}
	os.Exit(m.Run())
}

// world is some hosts on simulated links, in virtual time. It must be made
// inside a synctest bubble.
type world struct {
	t         *testing.T
	nodes     []*node
	latencies sync.Map // of time.Duration, by address
}

// node is a host with a Site that runs.
type node struct {
	*Site
	t       *testing.T
	host    host.Host
	written *atomic.Int64 // by streams of the protocol: how often, and bytes
	bytes   *atomic.Int64
	stop    func()
}

// spot says where a node is and what its operator wrote.
type spot struct {
	label   string
	latency time.Duration // one way
	outside bool          // it speaks no site protocol, and is in contact with the others only as an outsider
	subnet  int           // nodes of one subnet see each other as neighbours; 0 for none
	config  func(*Config)
}

const labelled = "ship-7"

// many returns n equal spots.
func many(n int, s spot) []spot {
	spots := make([]spot, n)
	for i := range spots {
		spots[i] = s
	}
	return spots
}

// newWorld makes a node at each spot. None is connected.
func newWorld(t *testing.T, spots ...spot) *world {
	t.Helper()
	w := &world{t: t}
	sim := &simnet.Simnet{LatencyFunc: func(p *simnet.Packet) time.Duration {
		from, _ := w.latencies.Load(p.From.String())
		to, _ := w.latencies.Load(p.To.String())
		a, _ := from.(time.Duration)
		b, _ := to.(time.Duration)
		return max(a, b)
	}}
	for i, at := range spots {
		ip := fmt.Sprintf("50.%d.0.%d", at.subnet, i+1)
		w.latencies.Store(ip+":8000", at.latency)
		settings := simnet.LinkSettings{BitsPerSecond: 100_000_000}
		h, err := libp2p.New(
			libp2p.ListenAddrStrings("/ip4/"+ip+"/udp/8000/quic-v1"),
			simlibp2p.QUICSimnet(sim, simnet.NodeBiDiLinkSettings{Downlink: settings, Uplink: settings}),
			libp2p.DisableIdentifyAddressDiscovery(), libp2p.DisableMetrics(), libp2p.DisableRelay(),
			libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.UserAgent(Agent("1.2.3", at.label)),
		)
		if err != nil {
			t.Fatal(err)
		}
		w.nodes = append(w.nodes, newNode(t, h, at))
	}
	sim.Start()
	t.Cleanup(func() {
		var errs []error
		for _, n := range w.nodes {
			n.stop()
			errs = append(errs, n.host.Close())
		}
		sim.Close()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
	return w
}

func newNode(t *testing.T, h host.Host, at spot) *node {
	t.Helper()
	n := &node{t: t, host: h, written: new(atomic.Int64), bytes: new(atomic.Int64), stop: func() {}}
	if at.outside {
		h.SetStreamHandler("/dunlin/test/1", func(s network.Stream) { _ = s.Reset() })
		return n
	}
	cfg := Config{Host: &countingHost{h, n}, Label: at.label}
	if os.Getenv("SITE_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With(slog.String("node", h.ID().ShortString()))
	}
	if at.config != nil {
		at.config(&cfg)
	}
	var err error
	if n.Site, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	n.subnets.list = func() ([]net.Addr, error) {
		if at.subnet == 0 {
			return nil, nil
		}
		return []net.Addr{&net.IPNet{IP: net.IPv4(50, byte(at.subnet), 0, 0), Mask: net.CIDRMask(16, 32)}}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	n.stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	return n
}

// countingHost counts what is written to streams of the protocol.
type countingHost struct {
	host.Host
	n *node
}

func (h *countingHost) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, ids...)
	if err != nil {
		return nil, err
	}
	return &countingStream{s, h.n}, nil
}

func (h *countingHost) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	h.Host.SetStreamHandler(id, func(s network.Stream) { handler(&countingStream{s, h.n}) })
}

type countingStream struct {
	network.Stream
	n *node
}

func (s *countingStream) Write(p []byte) (int, error) {
	s.n.written.Add(1)
	s.n.bytes.Add(int64(len(p)))
	return s.Stream.Write(p)
}

// latency changes how far away a node is, one way.
func (w *world) latency(i int, d time.Duration) {
	ip, err := manet.ToIP(w.nodes[i].host.Addrs()[0])
	if err != nil {
		w.t.Fatal(err)
	}
	w.latencies.Store(ip.String()+":8000", d)
}

// connect connects two nodes.
func (w *world) connect(i, j int) {
	w.t.Helper()
	a, b := w.nodes[i].host, w.nodes[j].host
	if err := a.Connect(w.t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) disconnect(i, j int) {
	w.t.Helper()
	if err := w.nodes[i].host.Network().ClosePeer(w.nodes[j].host.ID()); err != nil {
		w.t.Fatal(err)
	}
}

// meet connects each of the nodes given with each other, and waits until they
// have told each other.
func (w *world) meet(nodes ...int) {
	w.t.Helper()
	for k, i := range nodes {
		for _, j := range nodes[:k] {
			w.connect(i, j)
		}
	}
	pass(time.Second)
}

// first returns the numbers 0 to n-1.
func first(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var releaseA, releaseB = manifest.SumCID(manifest.DagCBOR, []byte("a")), manifest.SumCID(manifest.DagCBOR, []byte("b"))

// join joins the errand at each of the nodes.
func (w *world) join(release manifest.CID, nodes ...int) map[int]*Errand {
	errands := make(map[int]*Errand)
	for _, i := range nodes {
		errands[i] = w.nodes[i].Join(release)
	}
	return errands
}

// turns returns which nodes have the turn.
func turns(errands map[int]*Errand) []int {
	var with []int
	for i := range 1000 {
		if e := errands[i]; e != nil {
			if t, _ := e.Turn(); t.Outside {
				with = append(with, i)
			}
		}
	}
	return with
}
