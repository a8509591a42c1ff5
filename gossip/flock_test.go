package gossip

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/raced"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"github.com/dunlin-mesh/dunlin/trust"
)

func TestMain(m *testing.M) {
	if raced.Enabled {
		runtime.GOMAXPROCS(1) // https://go.dev/issue/78156
	}
	os.Exit(m.Run())
}

// flock is a mesh of nodes on simulated links in virtual time. It must be made
// inside a synctest bubble.
type flock struct {
	t     *testing.T
	nodes []*node
}

// node is one of them.
type node struct {
	t       *testing.T
	host    *countingHost
	total   *totals // all streams, negotiation included
	state   State
	gossip  *Gossip
	changes atomic.Int64 // calls of OnChange
	site    hood
	cancel  context.CancelFunc
	ended   chan error
}

// hood is the site of a node: its members, set before anybody connects.
type hood map[peer.ID]bool

func (h hood) Local(c network.Conn) bool { return h[c.RemotePeer()] }

// neighbours makes one site of some nodes.
func (f *flock) neighbours(nodes ...int) {
	for _, i := range nodes {
		for _, j := range nodes {
			f.nodes[i].site[f.nodes[j].host.ID()] = true
		}
	}
}

const linkLatency = 20 * time.Millisecond

// newFlock makes one node for each state. Nodes run and are not connected.
func newFlock(t *testing.T, preset Preset, states ...State) *flock {
	t.Helper()
	world := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(linkLatency)}
	link := simnet.LinkSettings{BitsPerSecond: 20 * simlibp2p.OneMbps}
	f := &flock{t: t}
	for i, state := range states {
		total := new(totals)
		h, err := libp2p.New(
			libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", simnet.IntToPublicIPv4(i))),
			simlibp2p.QUICSimnet(world, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
			libp2p.DisableIdentifyAddressDiscovery(),
			libp2p.ResourceManager(&network.NullResourceManager{}),
			libp2p.BandwidthReporter(total),
		)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		n := newNode(t, h, preset, state)
		n.total = total
		f.nodes = append(f.nodes, n)
	}
	world.Start()
	t.Cleanup(func() {
		for _, n := range f.nodes {
			n.stop()
			n.host.Close()
		}
		world.Close()
	})
	for _, n := range f.nodes {
		n.start()
	}
	return f
}

func newNode(t *testing.T, h host.Host, preset Preset, state State) *node {
	t.Helper()
	n := &node{t: t, host: &countingHost{Host: h, counts: make(map[protocol.ID]*count)}, state: state, site: hood{}}
	var logger *slog.Logger
	if os.Getenv("GOSSIP_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With(slog.String("node", h.ID().ShortString()))
	}
	g, err := New(Config{
		Host: n.host, Mesh: "test", Preset: preset, State: state, Logger: logger, Site: n.site,
		OnChange: func(trust.Fingerprint) { n.changes.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.gossip = g
	return n
}

func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended = cancel, make(chan error, 1)
	go func() { n.ended <- n.gossip.Run(ctx) }()
}

func (n *node) stop() {
	if n.cancel == nil {
		return
	}
	n.cancel()
	n.cancel = nil
	if err := <-n.ended; err != nil {
		n.t.Errorf("Run: %v", err)
	}
}

func (f *flock) connect(i, j int) {
	f.t.Helper()
	a, b := f.nodes[i].host, f.nodes[j].host
	if err := a.Connect(f.t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flock) disconnect(i, j int) {
	f.t.Helper()
	if err := f.nodes[i].host.Network().ClosePeer(f.nodes[j].host.ID()); err != nil {
		f.t.Fatal(err)
	}
}

// line connects each node with the next one and lets the topic mesh form.
func (f *flock) line() {
	f.t.Helper()
	for i := range len(f.nodes) - 1 {
		f.connect(i, i+1)
	}
	f.settle()
}

// settle waits until contacts are made and the topic mesh has formed.
func (f *flock) settle() {
	time.Sleep(3 * f.nodes[0].gossip.params.heartbeat)
	synctest.Wait()
}

// publish lets a node take what a has signed and announce it.
func (f *flock) publish(i int, a *author) {
	f.t.Helper()
	f.nodes[i].state.(interface{ take(*testing.T, *author) }).take(f.t, a)
	if err := f.nodes[i].gossip.Announce(f.t.Context(), a.head()); err != nil {
		f.t.Fatal(err)
	}
}

// wantVersion checks what nodes hold of a.
func (f *flock) wantVersion(a *author, want int64, nodes ...int) {
	f.t.Helper()
	for _, i := range nodes {
		if got := f.nodes[i].state.(interface{ version(*author) int64 }).version(a); got != want {
			f.t.Errorf("node %d holds version %d of %s, want %d", i, got, a.name, want)
		}
	}
}

// totals counts the bytes of all streams of a host, negotiation of protocols
// included. (The counter of libp2p leaves a goroutine behind.)
type totals struct {
	metrics.Reporter
	in, out atomic.Int64
}

func (c *totals) both() int64                                      { return c.in.Load() + c.out.Load() }
func (c *totals) LogSentMessage(n int64)                           { c.out.Add(n) }
func (c *totals) LogRecvMessage(n int64)                           { c.in.Add(n) }
func (c *totals) LogSentMessageStream(int64, protocol.ID, peer.ID) {}
func (c *totals) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

// countingHost counts what goes through the streams of each protocol, without
// the negotiation of the protocol.
type countingHost struct {
	host.Host
	mu     sync.Mutex
	counts map[protocol.ID]*count
}

// count is the traffic of one protocol at one node.
type count struct{ in, out, streams atomic.Int64 }

func (c *count) both() int64 { return c.in.Load() + c.out.Load() }

func (h *countingHost) of(id protocol.ID) *count {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts[id] == nil {
		h.counts[id] = new(count)
	}
	return h.counts[id]
}

func (h *countingHost) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	h.Host.SetStreamHandler(id, func(s network.Stream) { handler(h.wrap(s)) })
}

func (h *countingHost) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, ids...)
	if err != nil {
		return nil, err
	}
	return h.wrap(s), nil
}

func (h *countingHost) wrap(s network.Stream) network.Stream {
	c := h.of(s.Protocol())
	c.streams.Add(1)
	return &countingStream{Stream: s, count: c}
}

type countingStream struct {
	network.Stream
	count *count
}

func (s *countingStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	s.count.in.Add(int64(n))
	return n, err
}

func (s *countingStream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	s.count.out.Add(int64(n))
	return n, err
}

var _ io.ReadWriter = (*countingStream)(nil)

func message(data []byte) *pubsub.Message {
	return &pubsub.Message{Message: &pb.Message{Data: data}}
}
