package gossip

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Learning what is behind a head.
const (
	learners       = 4                // sessions at once
	learnAttempts  = 4                // at the deliverer first, then at anybody
	learnRetry     = 2 * time.Second  // pause before the second attempt, doubled for each further one
	learnWaitLimit = 20 * time.Second // how long an ask waits for what is being learnt just now
	// learnSettle is how long a head from outside waits for a member of the site
	// that has been told the same: some times what a message takes on a LAN.
	learnSettle = 100 * time.Millisecond
	// hurryLimit is how long the ask of somebody waits who could ask outside.
	hurryLimit = 5 * time.Second
)

// learner holds the heads that came over the topic and whose updates are not
// here yet: one for each publisher, so it is bounded by the pins. A head is
// forwarded at once, so the next node may ask for its update before this one
// has it: wait lets that ask wait.
type learner struct {
	wake chan struct{} // one token: there may be something to do

	mu      sync.Mutex
	lessons map[trust.Fingerprint]*lesson // guarded by mu
	heard   map[trust.Fingerprint]headID  // guarded by mu; the newest head that the topic brought or was given
	owner   map[headID]trust.Fingerprint  // guarded by mu; the reverse
}

// lesson is one head to learn the update of. Its fields are guarded by
// learner.mu, except done.
type lesson struct {
	head     trust.Head
	from     peer.ID
	local    bool    // from is of this site
	aside    peer.ID // who told it from outside, where a member of the site is asked instead; or ""
	settling bool    // a member of the site may still turn up
	busy     bool    // somebody is at it
	attempts int
	due      time.Time
	done     chan struct{} // closed when it is learnt or given up
}

func newLearner() *learner {
	return &learner{
		wake:    make(chan struct{}, 1),
		lessons: make(map[trust.Fingerprint]*lesson),
		heard:   make(map[trust.Fingerprint]headID),
		owner:   make(map[headID]trust.Fingerprint),
	}
}

// add notes a head of a pinned publisher that from has delivered, to be learnt
// when settle has passed.
func (l *learner) add(head trust.Head, id headID, from peer.ID, local bool, settle time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(head.Publisher, id)
	old := l.lessons[head.Publisher]
	if old == nil {
		old = &lesson{done: make(chan struct{})}
		l.lessons[head.Publisher] = old
	}
	old.head, old.from, old.local, old.aside, old.settling = head, from, local, "", settle > 0
	old.attempts, old.due = 0, time.Now().Add(settle)
	l.poke()
}

// whose returns the publisher of the message with that id; false if it is not
// the newest head of anybody that was heard or announced.
func (l *learner) whose(message []byte) (publisher trust.Fingerprint, id headID, ok bool) {
	if copy(id[:], message) < len(id) {
		return publisher, id, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	publisher, ok = l.owner[id]
	return publisher, id, ok
}

// note remembers the newest head that was heard of a publisher. l.mu is held.
func (l *learner) note(publisher trust.Fingerprint, id headID) {
	delete(l.owner, l.heard[publisher])
	l.heard[publisher], l.owner[id] = id, publisher
}

// again notes that from, too, has told a head that is to be learnt.
//
// Two members of a site that are told the same from outside at once tell each
// other. Then the one with the higher ID asks outside and the other one asks it,
// so that the update enters the site once. All other orders of events end in
// one of them hearing first from the other, whom it asks anyway.
func (l *learner) again(publisher trust.Fingerprint, id headID, self, from peer.ID, local bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lesson := l.lessons[publisher]
	if !local || l.heard[publisher] != id || lesson == nil || !lesson.settling || lesson.busy {
		return
	}
	if self < from {
		lesson.aside, lesson.from, lesson.local = lesson.from, from, true
	}
	lesson.settling, lesson.due = false, time.Now()
	l.poke()
}

// underway says whether publisher is being learnt from somebody else than p.
func (l *learner) underway(publisher trust.Fingerprint, p peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lesson := l.lessons[publisher]
	return lesson != nil && lesson.from != p && lesson.attempts == 0
}

func (l *learner) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// announced notes that this node itself announces a head, so that whoever
// repeats it is known to have it.
func (l *learner) announced(head trust.Head) {
	if id, err := idOf(head); err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.note(head.Publisher, id)
	}
}

// brought says whether the topic has brought this very head.
func (l *learner) brought(head trust.Head) bool {
	id, err := idOf(head)
	l.mu.Lock()
	defer l.mu.Unlock()
	return err == nil && l.heard[head.Publisher] == id
}

// wait returns once nothing is being learnt of publisher, at the given time at
// the latest, or when ctx ends. In a hurry it does not wait for what comes from
// a member of the site, who may be the one that is in a hurry.
func (l *learner) wait(ctx context.Context, publisher trust.Fingerprint, latest time.Time, hurry bool) {
	l.mu.Lock()
	lesson := l.lessons[publisher]
	if lesson != nil && hurry && lesson.local {
		lesson = nil
	}
	l.mu.Unlock()
	if lesson == nil {
		return
	}
	timer := time.NewTimer(time.Until(latest))
	defer timer.Stop()
	select {
	case <-lesson.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// next returns the lessons that one peer can give now, marked busy, or when to
// look again; the zero time if there is nothing to look for.
func (l *learner) next(now time.Time) (from peer.ID, hurry bool, publishers []trust.Fingerprint, again time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for publisher, lesson := range l.lessons {
		switch {
		case lesson.busy:
		case lesson.due.After(now):
			if again.IsZero() || lesson.due.Before(again) {
				again = lesson.due
			}
		case len(publishers) == 0 || (lesson.from == from && hurry == (lesson.aside != "") && len(publishers) < maxAsks):
			from, hurry, lesson.busy, lesson.settling = lesson.from, lesson.aside != "", true, false
			publishers = append(publishers, publisher)
		}
	}
	return from, hurry, publishers, again
}

// finish ends an attempt. known says of a head whether it is held by now;
// other returns somebody to ask instead, and whether that is a member of the
// site.
func (l *learner) finish(publisher trust.Fingerprint, known func(trust.Head) bool, other func() (peer.ID, bool)) {
	l.mu.Lock()
	lesson := l.lessons[publisher]
	if lesson == nil {
		l.mu.Unlock()
		return
	}
	head := lesson.head
	l.mu.Unlock()
	learnt := known(head)
	var next peer.ID
	var local bool
	if !learnt {
		next, local = other()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.poke()
	lesson.busy = false
	if string(lesson.head.Timestamp) != string(head.Timestamp) {
		return // a newer head has come meanwhile and is due now
	}
	if lesson.attempts++; learnt || lesson.attempts >= learnAttempts {
		delete(l.lessons, publisher)
		close(lesson.done)
		return
	}
	if lesson.aside != "" { // at once: a member of the site was a try
		lesson.from, lesson.local, lesson.aside = lesson.aside, false, ""
		lesson.attempts, lesson.due = 0, time.Now()
		return
	}
	if next != "" {
		lesson.from, lesson.local = next, local
	}
	lesson.due = time.Now().Add(learnRetry << (lesson.attempts - 1))
}

// keepLearning runs sessions for what the topic has brought until ctx ends.
func (g *Gossip) keepLearning(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(learners)
	for {
		from, hurry, publishers, again := g.learn.next(time.Now())
		if len(publishers) > 0 {
			group.Go(func() error {
				g.learnFrom(ctx, from, hurry, publishers)
				return nil
			})
			continue
		}
		if err := parley.SleepUntil(ctx, again, g.learn.wake); err != nil {
			_ = group.Wait() // never an error
			return err
		}
	}
}

func (g *Gossip) learnFrom(ctx context.Context, from peer.ID, hurry bool, publishers []trust.Fingerprint) {
	if err := g.reconcile(ctx, from, hurry, publishers); err != nil && ctx.Err() == nil {
		g.config.Logger.Info("learning failed", slog.String("peer", from.String()), slog.Int("publishers", len(publishers)), slog.Any("error", err))
	}
	known := func(head trust.Head) bool {
		verdict, err := g.config.State.CheckHead(head)
		return err != nil || (verdict != trust.HeadNew && verdict != trust.HeadNeedsRoot)
	}
	for _, publisher := range publishers {
		g.learn.finish(publisher, known, func() (peer.ID, bool) { return g.another(from) })
	}
}

// another returns a connected peer other than not, rather one of this site, and
// whether it is of this site; "" if there is none.
func (g *Gossip) another(not peer.ID) (p peer.ID, local bool) {
	others := g.meets.others(not)
	if at := slices.IndexFunc(others, g.local); at >= 0 {
		return others[at], true
	}
	if len(others) == 0 {
		return "", false
	}
	return others[0], false
}
