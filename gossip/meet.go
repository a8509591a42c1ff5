package gossip

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Sessions that this node begins on its own.
const (
	meeters    = 4               // at once
	meetRetry  = 5 * time.Second // after the first failure, doubled for each further one
	maxRetries = 12              // doublings
)

// meetings knows who is connected and when to reconcile with each of them. The
// node with the lower peer ID begins; the other one begins if nothing has
// happened for a while. The map is bounded by the connections of the host.
type meetings struct {
	params params
	wake   chan struct{}

	mu      sync.Mutex
	peers   map[peer.ID]*meeting         // guarded by mu
	mesh    map[peer.ID]time.Time        // guarded by mu; peers in the topic mesh, and since when
	changes uint64                       // guarded by mu; how often the state has changed
	newest  map[trust.Fingerprint]headID // guarded by mu; the head of the last change, at most one for each pin
}

// meeting is a connected peer that speaks the sync protocol. Its fields are
// guarded by meetings.mu.
type meeting struct {
	begins   bool // this node has the lower ID
	due      time.Time
	busy     bool
	failures int
	regular  time.Time // when the next session would be due if nothing had changed
	// pending are the changes of which the peer may not know, by publisher, with
	// meetings.changes at that time. It is bounded by the pins.
	pending map[trust.Fingerprint]uint64
	// told are the last heads that the peer has told or been told through the
	// topic, at most maxTold.
	told map[trust.Fingerprint]headID
}

// maxTold bounds the heads that are remembered for each peer.
const maxTold = 64

func newMeetings(p params) *meetings {
	return &meetings{params: p, wake: make(chan struct{}, 1), peers: make(map[peer.ID]*meeting), mesh: make(map[peer.ID]time.Time), newest: make(map[trust.Fingerprint]headID)}
}

// arrived notes a peer that speaks our protocol; one that is here already is
// left as it is.
func (m *meetings) arrived(self, p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.peers[p] != nil {
		return
	}
	meeting := &meeting{
		begins: self < p, due: time.Now(),
		pending: make(map[trust.Fingerprint]uint64), told: make(map[trust.Fingerprint]headID),
	}
	if !meeting.begins {
		meeting.due = meeting.due.Add(parley.Jitter(m.params.syncFallback))
	}
	meeting.regular = meeting.due
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
// next one: soon, if the state has changed since the session read it.
func (m *meetings) met(p peer.ID, seen uint64, ok bool) {
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
		maps.DeleteFunc(meeting.pending, func(_ trust.Fingerprint, at uint64) bool { return at <= seen })
	} else {
		pause = min(pause, meetRetry<<min(meeting.failures, maxRetries))
		meeting.failures++
	}
	meeting.regular = time.Now().Add(parley.Jitter(pause))
	meeting.due = meeting.regular
	if ok && len(meeting.pending) > 0 {
		meeting.due = m.check(p, meeting)
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

// others returns all peers but not, in random order.
func (m *meetings) others(not peer.ID) []peer.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []peer.ID
	for p := range m.peers {
		if p != not {
			list = append(list, p)
		}
	}
	return list
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
				if err := g.reconcile(ctx, p, false, nil); err != nil && ctx.Err() == nil {
					g.config.Logger.Info("sync failed", slog.String("peer", p.String()), slog.Any("error", err))
				}
				return nil
			})
			continue
		}
		if err := parley.SleepUntil(ctx, again, g.meets.wake); err != nil {
			_ = group.Wait() // never an error
			return err
		}
	}
}
