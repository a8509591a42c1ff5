package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/internal/parley"
)

// Protocol names the protocol of sessions: see docs/protocol.md.
const Protocol protocol.ID = "/dunlin/fleet/1"

var (
	// ErrConfig says that a configuration cannot work; its text names the field.
	ErrConfig = errors.New("invalid fleet configuration")
	// ErrProtocol says that a peer sent something that the protocol does not
	// allow. It is left alone for a time.
	ErrProtocol = errors.New("peer broke the fleet protocol")

	errOtherMesh = errors.New("peer is of another mesh")
)

// Config says what a Fleet works with. All fields without a default are
// required.
type Config struct {
	// Host carries the streams. Fleet adds a handler while it runs; it never
	// closes the host.
	Host host.Host
	// Key is the host's own, Ed25519.
	Key crypto.PrivKey
	// Table is what is kept. It belongs to one Fleet at a time.
	Table *Table
	// Link is the kind of link to peers outside of the site. Default: WAN.
	Link Link
	// Site tells who is near. Default: nobody is.
	Site Site
	// Logger receives what an operator may want to know. Default: discarded.
	Logger *slog.Logger
}

// Fleet spreads this node's record and takes those of others. Make one with
// [New]; its methods may be called from any goroutine.
type Fleet struct {
	config   Config
	mesh     []byte // mark of the mesh
	outside  pace
	packer   *packer
	peers    *parley.Acquaintances
	contacts *contacts

	gate   *parley.Gate // for inbound sessions
	gates  sync.Mutex
	closed bool // guarded by gates; Run has ended
	served sync.WaitGroup

	mu        sync.Mutex
	epoch     uint64    // guarded by mu
	sequence  uint64    // guarded by mu
	record    *Record   // guarded by mu; in force, nil before the first
	made      time.Time // guarded by mu; when record was signed
	outgrown  time.Time // guarded by mu; when the epoch was raised last
	patience  time.Duration
	outgrowTo uint64 // guarded by mu; wanted as soon as patience allows, 0 for no
}

// New checks config, takes the next epoch and returns a Fleet that does nothing
// yet. The error wraps [ErrConfig], or says that the node's key has no epoch
// left.
func New(config Config) (*Fleet, error) {
	if config.Link == "" {
		config.Link = WAN
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case config.Host == nil || config.Key == nil || config.Table == nil:
		return nil, fmt.Errorf("%w: host, key and table are required", ErrConfig)
	case config.Key.Type() != crypto.Ed25519 || config.Table.config.Self != config.Host.ID() || !config.Host.ID().MatchesPrivateKey(config.Key):
		return nil, fmt.Errorf("%w: host, table and key are not of one Ed25519 identity", ErrConfig)
	}
	outside, err := config.Link.pace()
	if err != nil {
		return nil, err
	}
	packer, err := newPacker()
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		config: config, mesh: meshMark(config.Table.config.Mesh), outside: outside, packer: packer,
		contacts: newContacts(), patience: firstPatience,
		gate: &parley.Gate{Most: maxInbound, MostPerPeer: maxInboundPerPeer, Burst: inboundBurst, Refill: inboundRefill},
	}
	f.peers = &parley.Acquaintances{
		Host: config.Host, Protocol: Protocol,
		Arrived: func(p peer.ID) { f.contacts.arrived(f, p) }, Left: f.contacts.left,
	}
	if f.epoch, err = config.Table.nextEpoch(0); err != nil {
		packer.Close()
		return nil, err
	}
	return f, nil
}

// Run serves sessions and begins its own until ctx ends; it then saves the
// table and returns nil, or what the host refused. Everything that Run started
// has ended when it returns. Run may be called once.
func (f *Fleet) Run(ctx context.Context) error {
	defer f.packer.Close()
	events, err := f.peers.Watch("dunlin/fleet")
	if err != nil {
		return err
	}
	defer events.Close()
	ctx, cancel := context.WithCancel(ctx)
	f.config.Host.SetStreamHandler(Protocol, func(stream network.Stream) { f.serve(ctx, stream) })
	defer func() {
		f.config.Host.RemoveStreamHandler(Protocol)
		cancel()
		f.gates.Lock()
		f.closed = true
		f.gates.Unlock()
		f.served.Wait()
	}()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.peers.Follow(groupCtx, events) })
	group.Go(func() error { return f.keepMeeting(groupCtx) })
	group.Go(func() error { return f.keepSaving(groupCtx) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	f.save()
	return err
}

// inside says whether the other end of a connection is a member of the site.
func (f *Fleet) inside(c network.Conn) bool { return f.config.Site != nil && f.config.Site.Local(c) }

// isInside says whether a peer is, over any of its connections.
func (f *Fleet) isInside(p peer.ID) bool {
	return slices.ContainsFunc(f.config.Host.Network().ConnsToPeer(p), f.inside)
}

func (f *Fleet) paceOf(inside bool) pace {
	if inside {
		return member
	}
	return f.outside
}

func (f *Fleet) paceWith(p peer.ID) pace { return f.paceOf(f.isInside(p)) }

// Retry has a session begun soon with a connected peer whose sessions failed for
// a reason that is gone: a link that was closed is open again. One on parole
// stays there.
func (f *Fleet) Retry(p peer.ID) { f.contacts.retry(p) }
