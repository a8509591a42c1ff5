package gossip

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"golang.org/x/sync/errgroup"
)

// Sessions that this node begins on its own.
const (
	meeters    = 4               // at once
	meetRetry  = 5 * time.Second // after the first failure, doubled for each further one
	maxRetries = 12              // doublings
	// checkHeartbeats is how many heartbeats of the topic after a change the
	// neighbours are asked whether it has reached them: gossip may be lost,
	// for instance to a peer that the topic mesh has not taken in yet.
	checkHeartbeats = 4
	minCheck        = 5 * time.Second
)

// meetings knows who is connected and when to reconcile with each of them. The
// node with the lower peer ID begins; the other one begins if nothing has
// happened for a while. The map is bounded by the connections of the host.
type meetings struct {
	params params
	wake   chan struct{}

	mu    sync.Mutex
	peers map[peer.ID]*meeting // guarded by mu
}

// meeting is a connected peer that speaks the sync protocol. Its fields are
// guarded by meetings.mu.
type meeting struct {
	begins   bool // this node has the lower ID
	due      time.Time
	busy     bool
	failures int
}

func newMeetings(p params) *meetings {
	return &meetings{params: p, wake: make(chan struct{}, 1), peers: make(map[peer.ID]*meeting)}
}

// arrived notes a peer that speaks our protocol; one that is here already is
// left as it is.
func (m *meetings) arrived(self, p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.peers[p] != nil {
		return
	}
	meeting := &meeting{begins: self < p, due: time.Now()}
	if !meeting.begins {
		meeting.due = meeting.due.Add(jitter(m.params.syncFallback))
	}
	m.peers[p] = meeting
	m.poke()
}

func (m *meetings) left(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.peers, p)
}

func (m *meetings) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// met notes how a session with p that anybody began has ended, and plans the
// next one.
func (m *meetings) met(p peer.ID, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	meeting := m.peers[p]
	if meeting == nil {
		return
	}
	pause := m.params.syncInterval
	if !meeting.begins {
		pause += pause / 2 // leave it to the other one
	}
	if ok {
		meeting.failures = 0
	} else {
		pause = min(pause, meetRetry<<min(meeting.failures, maxRetries))
		meeting.failures++
	}
	meeting.due = time.Now().Add(jitter(pause))
	m.poke()
}

// changed moves the sessions with everybody forward, so that whoever has missed
// a change of this node hears of it soon. The node that may begin goes first,
// and mostly spares the other one its turn.
func (m *meetings) changed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	check := max(minCheck, checkHeartbeats*m.params.heartbeat)
	now := time.Now()
	for _, meeting := range m.peers {
		due := now.Add(jitter(check))
		if !meeting.begins {
			due = due.Add(check)
		}
		if due.Before(meeting.due) {
			meeting.due = due
		}
	}
	m.poke()
}

// next returns a peer to begin with now, marked busy, or when to look again.
func (m *meetings) next(now time.Time) (p peer.ID, ok bool, again time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, meeting := range m.peers {
		switch {
		case meeting.busy:
		case !meeting.due.After(now):
			meeting.busy = true
			return p, true, again
		case again.IsZero() || meeting.due.Before(again):
			again = meeting.due
		}
	}
	return "", false, again
}

func (m *meetings) free(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if meeting := m.peers[p]; meeting != nil {
		meeting.busy = false
	}
	m.poke()
}

// any returns a connected peer other than not, or "".
func (m *meetings) any(not peer.ID) peer.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.peers { // in random order
		if p != not {
			return p
		}
	}
	return ""
}

// watch subscribes to what the host learns of its peers. Identification comes
// after every new connection and says what a peer speaks.
func (g *Gossip) watch() (event.Subscription, error) {
	events, err := g.config.Host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
		new(event.EvtPeerConnectednessChanged),
	}, eventbus.Name("dunlin/gossip"))
	if err != nil {
		return nil, fmt.Errorf("subscribe to events of the host: %w", err)
	}
	return events, nil
}

// follow keeps meetings in step with the connections until ctx ends.
func (g *Gossip) follow(ctx context.Context, events event.Subscription) error {
	h := g.config.Host
	arrived := func(p peer.ID) {
		if h.Network().Connectedness(p) == network.Connected {
			g.meets.arrived(h.ID(), p)
		}
	}
	for _, p := range h.Network().Peers() {
		if known, err := h.Peerstore().SupportsProtocols(p, SyncProtocol); err == nil && len(known) > 0 {
			arrived(p)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events.Out():
			if !ok {
				return fmt.Errorf("events of the host ended: %w", ErrNotRunning)
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				if slices.Contains(e.Protocols, SyncProtocol) {
					arrived(e.Peer)
				}
			case event.EvtPeerProtocolsUpdated:
				if slices.Contains(e.Added, SyncProtocol) {
					arrived(e.Peer)
				}
				if slices.Contains(e.Removed, SyncProtocol) {
					g.meets.left(e.Peer)
				}
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness != network.Connected {
					g.meets.left(e.Peer)
				}
			}
		}
	}
}

// keepMeeting begins sessions when they are due until ctx ends.
func (g *Gossip) keepMeeting(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(meeters)
	for {
		p, ok, again := g.meets.next(time.Now())
		if ok {
			group.Go(func() error {
				defer g.meets.free(p)
				if err := g.reconcile(ctx, p, nil); err != nil && ctx.Err() == nil {
					g.config.Logger.Info("sync failed", "peer", p.String(), "error", err)
				}
				return nil
			})
			continue
		}
		if err := sleepUntil(ctx, again, g.meets.wake); err != nil {
			_ = group.Wait() // never an error
			return err
		}
	}
}
