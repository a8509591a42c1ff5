package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Gossip keeps the state of one node in step with the nodes it meets. Make one
// with [New]; its methods may be called from any goroutine.
type Gossip struct {
	config Config
	params params
	parole *parole
	meets  *meetings
	learn  *learner
	memory *memory      // of finished sessions
	gate   *parley.Gate // for inbound sessions
	peers  *parley.Acquaintances
	codec  *compressor
	huge   chan struct{} // held while a huge update is taken in

	mu      sync.Mutex
	started bool          // guarded by mu
	topic   *topic        // guarded by mu; nil unless Run is running
	ready   chan struct{} // closed once topic is set
	done    chan struct{} // closed once Run returns
}

// New checks config and returns a Gossip that does nothing yet: it registers
// nothing with the host before Run. The error wraps [ErrConfig].
func New(config Config) (*Gossip, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	params, err := config.Preset.params()
	if err != nil {
		return nil, err
	}
	codec, err := newCompressor()
	if err != nil {
		return nil, err
	}
	g := &Gossip{
		config: config,
		codec:  codec,
		huge:   make(chan struct{}, 1),
		params: params,
		parole: newParole(),
		meets:  newMeetings(params),
		learn:  newLearner(),
		memory: newMemory(),
		gate:   &parley.Gate{Most: maxInbound, MostPerPeer: maxInboundPerPeer, Burst: inboundBurst, Refill: inboundRefill},
		ready:  make(chan struct{}),
		done:   make(chan struct{}),
	}
	g.peers = g.acquaint()
	return g, nil
}

// Run joins the topic, serves sessions and begins its own until ctx ends, and
// then returns nil; any other return is an error of the host. Everything that
// Run started has ended and everything that it registered with the host is
// gone when it returns, except that goroutines of the pubsub library may take
// a moment more to notice that their streams were reset. Run may be called
// once.
func (g *Gossip) Run(ctx context.Context) error {
	g.mu.Lock()
	if g.started {
		g.mu.Unlock()
		return fmt.Errorf("run gossip a second time: %w", ErrConfig)
	}
	g.started = true
	g.mu.Unlock()
	defer close(g.done)

	scope := newScope(g.config.Host)
	defer scope.close()
	ctx, cancel := context.WithCancel(ctx) // before scope.close: what it waits for must end
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	topic, err := g.join(ctx, scope)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("join topic %s: %w", topicName(g.config.Mesh), err)
	}
	encounters, err := g.peers.Watch("dunlin/gossip")
	if err != nil {
		return err
	}
	defer encounters.Close()
	g.mu.Lock()
	g.topic = topic
	g.mu.Unlock()
	close(g.ready)
	scope.SetStreamHandler(SyncProtocol, g.serve(ctx))

	group.Go(func() error { return g.follow(ctx, encounters) })
	group.Go(func() error { return g.keepMeeting(ctx) })
	group.Go(func() error { return g.keepLearning(ctx) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// Announce tells the mesh of a head that the state holds as its newest, for
// instance after publishing. It waits until Run has started and returns once
// the message is on its way to whoever is connected; with no peers connected
// it does nothing, since whoever comes learns of it by anti-entropy. Announcing
// the same head again within two minutes sends nothing. Errors: [ErrNotHeld],
// [ErrNotRunning], what State.CheckHead returned, the error of ctx.
func (g *Gossip) Announce(ctx context.Context, head trust.Head) error {
	verdict, err := g.config.State.CheckHead(head)
	if err != nil {
		return fmt.Errorf("announce head of %s: %w", head.Publisher, err)
	}
	if verdict != trust.HeadSame {
		return fmt.Errorf("announce head of %s (%s): %w", head.Publisher, verdict, ErrNotHeld)
	}
	topic, err := g.running(ctx)
	if err != nil {
		return err
	}
	g.learn.announced(head)
	g.meets.changed("", head)
	return topic.publish(ctx, head)
}

// Sync reconciles with a connected peer now and returns when both sides have
// what the other could give of the publishers that they pin. It waits until
// Run has started. Errors: [ErrNotRunning], [ErrParole], [ErrProtocol],
// [ErrBusy], those of the connection, what State.Apply returned (joined, one
// for each publisher; the others were applied), the error of ctx.
func (g *Gossip) Sync(ctx context.Context, with peer.ID) error {
	if _, err := g.running(ctx); err != nil {
		return err
	}
	return g.reconcile(ctx, with, false, nil)
}

func (g *Gossip) running(ctx context.Context) (*topic, error) {
	select {
	case <-g.ready:
	case <-g.done:
		return nil, ErrNotRunning
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, ctx.Err())
	}
	select {
	case <-g.done:
		return nil, ErrNotRunning
	default:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.topic, nil
}
