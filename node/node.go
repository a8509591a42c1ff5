package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/fleet"
	"github.com/dunlin-mesh/dunlin/gossip"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
	"github.com/dunlin-mesh/dunlin/site"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Options are what a node is made of. Dir is required.
type Options struct {
	// Dir is the node's home, made by [Init].
	Dir string
	// Engine runs models; nil for a node that cannot.
	Engine modelrt.Engine
	// Prober tries a model in a child process before Engine loads it; required
	// with an Engine.
	Prober modelrt.Prober
	// Others run models with further execution providers, over the same library.
	Others map[modelrt.Provider]Runner
	// TryProviders says which execution providers work here, as profile.Measure
	// does; nil for a node that takes the CPU for the only one.
	TryProviders func(ctx context.Context) (profile.Profile, error)
	// Serve has models served even if the configuration does not say so; an
	// address that it names stands in for the configuration's. Nil for what that
	// says.
	Serve *ServeConfig
	// Logger tells the operator what happens; nil for silence.
	Logger *slog.Logger
}

// Node is a node's home, open. Its local API ([Node.Handler]) answers from the
// moment Open returns; the network is there while [Node.Run] runs. Safe for
// concurrent use.
type Node struct {
	dir       string
	config    Config
	log       *slog.Logger
	id        peer.ID
	store     *store.Store
	trust     *trust.Registry
	rules     *rules
	engine    modelrt.Engine
	pictures  pictures
	activator *modelrt.Activator
	placed    placed
	latencies *latencies
	chooser   chooser

	tryProviders func(ctx context.Context) (profile.Profile, error)
	board        *board
	flock        *flock
	routes       routes
	metrics      *prometheus.Registry
	book         *book
	keys         *keyring

	fleetOnce sync.Once // fills the two below
	fleetRows *fleet.Table
	fleetErr  error

	restoring   chan struct{} // holds a token while somebody brings back what was active
	restored    bool          // all of it was; owned by whoever has put the token
	publishing  sync.Mutex    // one release is made at a time
	bundling    sync.Mutex    // one bundle is made or read at a time
	imports     imports
	sizes       sizes
	retries     *retries
	paths       *paths
	configuring sync.Mutex    // owns config.json
	believes    atomic.Bool   // what publishers say has changed since the last look for revoked releases
	wake        chan struct{} // buffered: something changed that may be worth a look
	ask         chan struct{} // buffered: peers may know what this node did not want to know before
	net         atomic.Pointer[online]
}

// online is what exists only while the node runs.
type online struct {
	host     host.Host
	counter  *toll
	gate     *gate
	site     *site.Site
	fleet    *fleet.Fleet
	use      use // of links, as the fleet is told
	gossip   *gossip.Gossip
	transfer *transfer.Transfer
	find     *finder
	serving  *serve.Server // nil unless models are served
	since    time.Time
}

// Open opens the node's home; the caller closes the node. The error wraps
// [ErrNoHome], store.ErrLocked (another process works here) or store.ErrIndex
// (see [Rebuild]).
func Open(o Options) (_ *Node, err error) {
	config, err := LoadConfig(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Serve != nil {
		if config.Serve, err = o.Serve.over(config.Serve); err != nil {
			return nil, err
		}
	}
	key, err := loadKey(o.Dir)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	n := &Node{
		dir: o.Dir, config: config, log: o.Logger, id: id, engine: o.Engine,
		board: newBoard(), flock: newFlock(), wake: make(chan struct{}, 1), ask: make(chan struct{}, 1), restoring: make(chan struct{}, 1),
		retries: newRetries(), book: openBook(o.Dir, o.Logger), pictures: newPictures(),
	}
	if n.store, err = store.Open(n.storeConfig()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.store.Close())
		}
	}()
	n.trust, err = trust.Open(trust.Config{
		Dir: filepath.Join(o.Dir, trustName), Policy: trust.Policy(config.Expiry), Grace: config.grace(), Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.trust.Close())
		}
	}()
	if n.paths, err = openPaths(o.Dir, config, n); err != nil {
		return nil, err
	}
	if n.rules, err = loadRules(o.Dir); err != nil {
		return nil, err
	}
	if n.keys, err = openKeyring(o.Dir, o.Logger, n.finishPublishing); err != nil {
		return nil, err
	}
	if n.engine == nil {
		n.engine, o.Prober = modelrt.NoEngine(errors.New("this node was started without an engine")), noProber{}
	}
	n.latencies, n.tryProviders = openLatencies(o.Dir, o.Logger), o.TryProviders
	n.chooser.stale.Store(true)
	if len(o.Others) > 0 {
		all := routed{first: Runner{n.engine, o.Prober}, others: o.Others, placed: &n.placed}
		n.engine, o.Prober = all, all
	}
	bounded, err := n.bounded()
	if err != nil {
		return nil, err
	}
	n.activator, err = modelrt.New(n.activatorConfig(bounded, o.Prober))
	if err != nil {
		return nil, err
	}
	n.believes.Store(true) // since an earlier process looked
	n.metrics = newMetrics(n)
	return n, nil
}

// noProber stands in where there is no engine to try.
type noProber struct{}

// Probe implements modelrt.Prober.
func (noProber) Probe(context.Context, modelrt.Trial) (modelrt.Report, error) {
	return modelrt.Report{}, modelrt.ErrNoRuntime
}

// Close closes the home. Call it once, after Run has returned.
func (n *Node) Close() error {
	return errors.Join(n.activator.Close(), n.trust.Close(), n.paths.set.Close(), n.store.Close())
}

// ID returns the node's peer ID.
func (n *Node) ID() peer.ID { return n.id }

// Run brings the node onto the network and keeps it there until ctx ends; it
// then returns nil. What stops: the local API first (calls under way are
// cancelled; requests to served models may finish, for ten seconds), with it
// gossip, transfers and dialling, then the host. Nothing is
// lost by cancelling early: what had arrived is durable, what was wanted stays
// wanted. Run may be called again after it returned.
func (n *Node) Run(ctx context.Context) (err error) {
	key, err := loadKey(n.dir)
	if err != nil {
		return err
	}
	counter := newToll()
	relays := newRelays(!n.config.listensNowhere())
	h, err := newHost(n.config, key, counter, relays)
	if err != nil {
		return err
	}
	closers := []io.Closer{h}
	if !n.config.listensNowhere() {
		relay, err := serveRelay(h)
		if err != nil {
			return errors.Join(err, h.Close())
		}
		closers = []io.Closer{relay, h}
	}
	defer func() {
		for _, c := range closers {
			err = errors.Join(err, c.Close())
		}
	}()
	net := &online{host: h, counter: counter, since: time.Now()}
	if net.site, err = n.newSite(h); err != nil {
		return err
	}
	net.transfer, err = transfer.New(transfer.Config{
		Host: anyRoad{h}, Store: holder{n.store}, Link: transfer.Link(n.config.Preset), Site: neighbourhood{net.site}, Logger: n.log, Paths: n.paths,
		Discreet: n.config.NoContacts,
		Delta:    n.deltaConfig(),
		OnBadPeer: func(p peer.ID, err error) {
			n.log.Warn("a peer misbehaved, fetching elsewhere", slog.String("peer", p.String()), slog.Any("error", err))
		},
	})
	if err != nil {
		return err
	}
	net.gate = newGate(h, net.transfer.Path)
	net.gossip, err = gossip.New(gossip.Config{
		Host: anyRoad{net.gate}, Mesh: n.config.Mesh, Preset: gossip.Preset(n.config.Preset), State: n.trust, Site: net.site, Logger: n.log,
		OnChange: func(trust.Fingerprint) { n.heard() },
	})
	if err != nil {
		return err
	}
	if net.fleet, err = n.newFleet(net, key); err != nil {
		return err
	}
	if net.find, err = n.newFinder(net.gate, net.site, relays); err != nil {
		return err
	}
	if net.serving, err = n.newServing(ctx); err != nil {
		return err
	}
	n.net.Store(net)
	defer n.net.Store(nil)
	n.tellPins()

	group, groupCtx := errgroup.WithContext(ctx)
	if net.serving != nil {
		group.Go(func() error { return net.serving.Run(groupCtx) })
		http, grpc := net.serving.Addresses()
		n.log.Info("models are served", slog.String("http", http), slog.String("grpc", grpc))
	}
	for _, run := range []func(context.Context) error{
		n.serve, net.site.Run, net.transfer.Run, net.gossip.Run, net.fleet.Run, net.find.run,
		func(ctx context.Context) error { return n.keepWanted(ctx, net) },
		func(ctx context.Context) error { return n.askPeers(ctx, net) },
		func(ctx context.Context) error { return n.tellFleet(ctx, net) },
		func(ctx context.Context) error { return counter.run(ctx, h, net.transfer.Path) },
		func(ctx context.Context) error { return n.watchLinks(ctx, net) },
		func(ctx context.Context) error {
			return net.gate.run(ctx, func(p peer.ID) { n.catchUp(ctx, net, p) })
		},
		func(ctx context.Context) error { return n.activator.Run(ctx, n.wayBack) },
	} {
		group.Go(func() error { return run(groupCtx) })
	}
	n.log.Info("node is up", slog.String("peer_id", n.id.String()), slog.Any("addresses", addresses(h)))
	err = group.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return err
}

func (n *Node) newFinder(h host.Host, s premises, r *relays) (*finder, error) {
	f := &finder{host: h, book: n.book, site: s, relays: r, preset: n.config.Preset, label: n.config.Site, log: n.log}
	byID := make(map[peer.ID]*peer.AddrInfo)
	for _, text := range n.config.Bootstrap {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return nil, fmt.Errorf("bootstrap address %q: %w", text, err)
		}
		if have := byID[info.ID]; have != nil {
			have.Addrs = append(have.Addrs, info.Addrs...)
			continue
		}
		byID[info.ID] = info
	}
	for _, info := range byID {
		f.bootstrap = append(f.bootstrap, *info)
	}
	f.discreet = n.config.NoContacts
	if !n.config.NoMDNS {
		f.mdnsName = "_dunlin-" + n.config.Mesh + "._udp"
	}
	return f.complete(), nil
}

// poke makes the node look again at what it wants.
func (n *Node) poke() { signal(n.wake) }

// heard makes the node look again at everything, since a publisher said
// something new.
func (n *Node) heard() {
	n.believes.Store(true)
	n.poke()
	n.board.touch()
}

// askPeers reconciles with every connected peer whenever a publisher has been
// pinned: at their last contact this node did not ask about it.
func (n *Node) askPeers(ctx context.Context, net *online) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ask:
		}
		for _, p := range net.host.Network().Peers() {
			if err := net.gossip.Sync(ctx, p); err != nil {
				n.log.Debug("peer does not answer about publishers", slog.String("peer", p.String()), slog.Any("error", err))
			}
		}
	}
}

// hurry has peers dialled that did not answer for a while: somebody here waits
// for something.
func (n *Node) hurry() {
	if net := n.net.Load(); net != nil {
		net.find.hurry()
	}
}

// signal marks a buffered channel; a mark that is there already is enough.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// running returns the network, or [ErrNotRunning].
func (n *Node) running() (*online, error) {
	if net := n.net.Load(); net != nil {
		return net, nil
	}
	return nil, ErrNotRunning
}

// addresses returns where a host can be reached, each ending in /p2p/PEERID.
func addresses(h host.Host) []string {
	infos, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	if err != nil {
		return nil
	}
	texts := make([]string, len(infos))
	for i, a := range infos {
		texts[i] = a.String()
	}
	return texts
}
