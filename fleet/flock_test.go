package fleet

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestMain(m *testing.M) {
	if raced.Enabled {
		runtime.GOMAXPROCS(1) // https://go.dev/issue/78156
	}
	os.Exit(m.Run())
}

const (
	testMesh    = "test"
	linkLatency = 20 * time.Millisecond
)

// flock is a mesh of nodes on simulated links in virtual time. It must be made
// inside a synctest bubble.
type flock struct {
	t     *testing.T
	nodes []*node
	sites map[peer.ID]string
}

// node is one of them. Its folder outlives it.
type node struct {
	f      *flock
	host   host.Host
	key    crypto.PrivKey
	dir    string
	link   Link
	count  *totals // bytes of all streams, negotiation included
	opened atomic.Int64
	fleet  *Fleet
	cancel context.CancelFunc
	ended  chan error
}

// member of a flock: the label of its site and the kind of its link to others.
type place struct {
	site string
	link Link
}

// siteOf is what a node knows of the flock's sites.
type siteOf struct {
	f    *flock
	self peer.ID
}

func (s siteOf) Local(c network.Conn) bool { return s.f.sites[s.self] == s.f.sites[c.RemotePeer()] }

// newFlock makes one node for each place. Nodes run and are not connected.
func newFlock(t *testing.T, places ...place) *flock {
	t.Helper()
	world := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(linkLatency)}
	link := simnet.LinkSettings{BitsPerSecond: 20 * simlibp2p.OneMbps}
	f := &flock{t: t, sites: make(map[peer.ID]string)}
	for i, place := range places {
		n := &node{f: f, key: newKey(t), dir: t.TempDir(), link: place.link, count: new(totals)}
		h, err := libp2p.New(
			libp2p.Identity(n.key),
			libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", simnet.IntToPublicIPv4(i))),
			simlibp2p.QUICSimnet(world, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
			libp2p.DisableIdentifyAddressDiscovery(),
			libp2p.ResourceManager(&network.NullResourceManager{}),
			libp2p.BandwidthReporter(n.count),
		)
		if err != nil {
			t.Fatal(err)
		}
		n.host = countingHost{h, &n.opened}
		f.sites[h.ID()] = place.site
		f.nodes = append(f.nodes, n)
	}
	world.Start()
	t.Cleanup(func() {
		for _, n := range f.nodes {
			n.stop()
			_ = n.host.Close()
		}
		world.Close()
	})
	for _, n := range f.nodes {
		n.start()
	}
	return f
}

// start runs a fleet on the node's folder and publishes a first record.
func (n *node) start() {
	n.f.t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("FLEET_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With(slog.String("node", n.host.ID().ShortString()))
	}
	table, err := OpenTable(TableConfig{Dir: filepath.Join(n.dir, "fleet"), Self: n.host.ID(), Mesh: testMesh, Logger: logger})
	if err != nil {
		n.f.t.Fatal(err)
	}
	n.fleet, err = New(Config{Host: n.host, Key: n.key, Table: table, Link: n.link, Site: siteOf{n.f, n.host.ID()}, Logger: logger})
	if err != nil {
		n.f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended = cancel, make(chan error, 1)
	go func() { n.ended <- n.fleet.Run(ctx) }()
	n.say("1", 0)
}

func (n *node) stop() {
	if n.cancel == nil {
		return
	}
	n.cancel()
	n.cancel = nil
	if err := <-n.ended; err != nil {
		n.f.t.Errorf("Run: %v", err)
	}
}

// say publishes a record that names a held version and a progress.
func (n *node) say(version string, progress uint16) {
	n.f.t.Helper()
	if _, err := n.fleet.Publish(testRecord(n.f.sites[n.host.ID()], version, progress)); err != nil {
		n.f.t.Fatal(err)
	}
}

func testRecord(site, version string, progress uint16) Record {
	return Record{
		Site: site, Software: "0.1.0", Platform: "linux/arm64", DiskFree: 12_345_678_901,
		Models: []Model{{
			Model: "acme/vad", Held: version, HeldSequence: 7, Wanted: "6.2.0", Active: version, Serving: true, State: "fetching", Progress: progress,
		}},
		Links: Links{OutsideIn: 1 << 30, OutsideOut: 1 << 20, InsideIn: 1 << 31, InsideOut: 1 << 32},
	}
}

// told returns the version that a node knows another one to hold; "" if it
// knows nothing.
func (f *flock) told(at, of int) string {
	for _, r := range f.nodes[at].fleet.config.Table.Rows() {
		if r.Peer == f.nodes[of].host.ID() {
			return r.Models[0].Held
		}
	}
	return ""
}

// row returns what a node knows of another one.
func (f *flock) row(at, of int) Row {
	f.t.Helper()
	for _, r := range f.nodes[at].fleet.config.Table.Rows() {
		if r.Peer == f.nodes[of].host.ID() {
			return r
		}
	}
	f.t.Fatalf("node %d knows nothing of node %d", at, of)
	return Row{}
}

// wantTold checks what nodes know of one.
func (f *flock) wantTold(of int, version string, at ...int) {
	f.t.Helper()
	for _, i := range at {
		if got := f.told(i, of); got != version {
			f.t.Errorf("node %d knows version %q of node %d, want %q", i, got, of, version)
		}
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
	f.pass(time.Second)
}

// pass lets virtual time pass.
func (f *flock) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// spent returns the stream bytes that nodes have sent so far, negotiation of
// protocols included.
func (f *flock) spent() int64 {
	synctest.Wait()
	var sum int64
	for _, n := range f.nodes {
		sum += n.count.out.Load()
	}
	return sum
}

// sessions returns how many sessions nodes have begun so far.
func (f *flock) sessions() int64 {
	var sum int64
	for _, n := range f.nodes {
		sum += n.opened.Load()
	}
	return sum
}

func newKey(t testing.TB) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// stranger is a node that exists only through the records it signed.
type stranger struct {
	key  crypto.PrivKey
	peer peer.ID
}

func newStranger(t testing.TB) stranger {
	t.Helper()
	key := newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return stranger{key, id}
}

// signed returns a record of the stranger.
func (s stranger) signed(t testing.TB, epoch, sequence uint64) (*Record, []byte) {
	t.Helper()
	r := testRecord("elsewhere", "1", 0)
	r.Peer, r.Epoch, r.Sequence, r.Time = s.peer, epoch, sequence, 1_700_000_000
	data, err := sign(s.key, testMesh, &r)
	if err != nil {
		t.Fatal(err)
	}
	return &r, data
}

// unsigned returns a record as large as a signed one, of a node that nobody can
// be: for tests of the table, which leaves signatures to sessions.
func unsigned(t testing.TB, r Record) (*Record, []byte) {
	t.Helper()
	id := append([]byte{0, 36, 8, 1, 18, 32}, make([]byte, 32)...) // an Ed25519 key, as a peer ID
	_, _ = rand.Read(id[6:])
	r.Peer, r.Epoch, r.Sequence, r.Time = peer.ID(id), 1, 1, 1_700_000_000
	block, err := manifest.Encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := manifest.Marshal(&envelope{Record: block.Data, Signature: make([]byte, 64)}, manifest.MaxBlockBytes)
	if err != nil {
		t.Fatal(err)
	}
	return &r, data
}

// totals counts the bytes of all streams of a host.
type totals struct {
	metrics.Reporter
	in, out atomic.Int64
}

func (c *totals) LogSentMessage(n int64)                           { c.out.Add(n) }
func (c *totals) LogRecvMessage(n int64)                           { c.in.Add(n) }
func (c *totals) LogSentMessageStream(int64, protocol.ID, peer.ID) {}
func (c *totals) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

// countingHost counts the sessions that it begins.
type countingHost struct {
	host.Host
	opened *atomic.Int64
}

func (h countingHost) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	h.opened.Add(1)
	return h.Host.NewStream(ctx, p, ids...)
}
