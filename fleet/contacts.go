package fleet

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/parley"
)

// Bounds and times of contacts.
const (
	maxContacts     = 1024
	maxPauseSeconds = 3600            // that another node may ask for
	retryPause      = 5 * time.Second // after the first failure, doubled for each further one
	maxDoublings    = 10
	// fallback is how long the node of the higher peer ID waits for the other
	// one to begin at contact.
	fallback = 10 * time.Second
)

// contacts knows who is connected, or was, and when to begin a session with
// whom. Safe for concurrent use.
type contacts struct {
	wake chan struct{} // one token: there may be something to do

	mu    sync.Mutex
	peers map[peer.ID]*contact // guarded by mu; at most maxContacts of those that left
}

// contact is a peer that speaks the protocol. Its fields are guarded by
// contacts.mu.
type contact struct {
	here     bool      // connected
	busy     bool      // this node's session with it is under way
	due      time.Time // zero if there is nothing to tell
	last     time.Time // end of the last session that anybody began
	pause    time.Duration
	failures int
	parole   time.Duration // the next one; zero for a peer that never misbehaved
	until    time.Time     // end of parole
	left     time.Time

	met       bool      // a session went through
	agreed    uint64    // Table.changes up to which the peer knows ours
	compared  time.Time // when ranges were compared last
	otherMesh bool
}

func newContacts() *contacts {
	return &contacts{wake: make(chan struct{}, 1), peers: make(map[peer.ID]*contact)}
}

func (c *contacts) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// arrived notes a connected peer that speaks our protocol.
func (c *contacts) arrived(f *Fleet, p peer.ID) {
	pace := f.paceWith(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.peers[p]
	if k == nil {
		c.sweep()
		k = new(contact)
		c.peers[p] = k
	}
	if k.here {
		return
	}
	k.here, k.otherMesh = true, false
	wait := time.Duration(0)
	if f.config.Host.ID() > p {
		wait = parley.Jitter(fallback)
	}
	k.plan(time.Now().Add(wait), max(pace.pause, k.pause))
	c.poke()
}

// plan makes a session due at the given time, or later as pause wants it,
// unless one is due sooner.
func (k *contact) plan(at time.Time, pause time.Duration) {
	if !k.last.IsZero() && at.Before(k.last.Add(pause)) {
		at = k.last.Add(pause)
	}
	if at.Before(k.until) {
		at = k.until
	}
	if k.due.IsZero() || at.Before(k.due) {
		k.due = at
	}
}

func (c *contacts) left(p peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.peers[p]; k != nil {
		k.here, k.due, k.left = false, time.Time{}, time.Now()
	}
}

// sweep makes room for one more: it forgets who left first.
func (c *contacts) sweep() {
	if len(c.peers) < maxContacts {
		return
	}
	var first peer.ID
	for p, k := range c.peers {
		if !k.here && (first == "" || k.left.Before(c.peers[first].left)) {
			first = p
		}
	}
	delete(c.peers, first)
}

// changed plans to tell of a row that is new in the table.
func (c *contacts) changed(f *Fleet, r *row) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, k := range c.peers {
		if k.here && !k.otherMesh && p != r.via {
			c.planFor(f, p, k, r, now)
		}
	}
	c.poke()
}

func (c *contacts) planFor(f *Fleet, p peer.ID, k *contact, r *row, now time.Time) {
	pace, inside := f.paceWith(p), f.isInside(p)
	wait, pause := pace.coalesce, max(pace.pause, k.pause)
	if r.kind != altered {
		pause = max(pace.progress, k.pause)
	}
	if inside && r.inside && r.via != f.config.Table.config.Self {
		wait = parley.Jitter(recheck) // r.via has told it as well
	}
	k.plan(now.Add(wait), pause)
}

// next returns a peer to begin with now, marked busy, or when to look again.
func (c *contacts) next(now time.Time) (p peer.ID, ok bool, again time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, k := range c.peers {
		switch {
		case k.busy || !k.here || k.due.IsZero():
		case !k.due.After(now):
			k.busy, k.due = true, time.Time{}
			return p, true, again
		case again.IsZero() || k.due.Before(again):
			again = k.due
		}
	}
	return "", false, again
}

// ended notes how a session that anybody began has ended.
func (c *contacts) ended(f *Fleet, s *session, err error) {
	rows := f.config.Table.sinceRows(s.seen, s.with)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.peers[s.with]
	if k == nil {
		return
	}
	now := time.Now()
	k.last = now
	if s.theirs != nil {
		k.pause = s.pause
	}
	if err != nil {
		k.failed(now, s.pace.pause, err)
		c.poke()
		return
	}
	k.failures, k.due = 0, time.Time{}
	if s.cut {
		k.plan(now, max(s.pace.pause, k.pause)) // the rest
		k.met = false
	} else {
		k.met, k.agreed = true, s.seen
		if s.opened {
			k.compared = now
		}
	}
	for _, r := range rows {
		c.planFor(f, s.with, k, r, now)
	}
	c.poke()
}

// retry plans a session now.
func (c *contacts) retry(p peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.peers[p]; k != nil && k.here && !k.otherMesh {
		k.failures, k.due = 0, time.Time{}
		k.plan(time.Now(), 0)
		c.poke()
	}
}

// failedToBegin notes that there was no session.
func (c *contacts) failedToBegin(p peer.ID, pause time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.peers[p]; k != nil {
		k.failed(time.Now(), pause, err)
		c.poke()
	}
}

func (c *contacts) free(p peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.peers[p]; k != nil {
		k.busy = false
	}
	c.poke()
}

// agreed returns up to which change the peer knows our table, and when all of
// it was compared last.
func (c *contacts) agreed(p peer.ID) (changes uint64, compared time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.peers[p]; k != nil && k.met {
		return k.agreed, k.compared, true
	}
	return 0, time.Time{}, false
}

// onParole says whether p is to be left alone.
func (c *contacts) onParole(p peer.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.peers[p]
	return k != nil && time.Now().Before(k.until)
}
