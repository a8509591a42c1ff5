package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/trust"
)

// Learning what is behind a head.
const (
	learners       = 4                // sessions at once
	learnAttempts  = 4                // at the deliverer first, then at anybody
	learnRetry     = 2 * time.Second  // pause before the second attempt, doubled for each further one
	learnWaitLimit = 20 * time.Second // how long an ask waits for what is being learnt just now
)

// learner holds the heads that came over the topic and whose updates are not
// here yet: one for each publisher, so it is bounded by the pins. A head is
// forwarded at once, so the next node may ask for its update before this one
// has it: wait lets that ask wait.
type learner struct {
	wake chan struct{} // one token: there may be something to do

	mu      sync.Mutex
	lessons map[trust.Fingerprint]*lesson // guarded by mu
	heard   map[trust.Fingerprint]headID  // guarded by mu; the newest head that the topic brought
}

// lesson is one head to learn the update of. Its fields are guarded by
// learner.mu, except done.
type lesson struct {
	head     trust.Head
	from     peer.ID
	busy     bool // somebody is at it
	attempts int
	due      time.Time
	done     chan struct{} // closed when it is learnt or given up
}

func newLearner() *learner {
	return &learner{
		wake:    make(chan struct{}, 1),
		lessons: make(map[trust.Fingerprint]*lesson),
		heard:   make(map[trust.Fingerprint]headID),
	}
}

// add notes a head of a pinned publisher that from has delivered.
func (l *learner) add(head trust.Head, from peer.ID) {
	data, err := head.Encode()
	if err != nil {
		return // it has just been decoded, so this cannot be
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[head.Publisher] = sumHead(data)
	if old := l.lessons[head.Publisher]; old != nil {
		old.head, old.from, old.attempts, old.due = head, from, 0, time.Now()
	} else {
		l.lessons[head.Publisher] = &lesson{head: head, from: from, due: time.Now(), done: make(chan struct{})}
	}
	l.poke()
}

func (l *learner) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// brought says whether the topic has brought this very head.
func (l *learner) brought(head trust.Head) bool {
	data, err := head.Encode()
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard[head.Publisher] == sumHead(data)
}

// wait returns once nothing is being learnt of publisher, at the given time at
// the latest, or when ctx ends.
func (l *learner) wait(ctx context.Context, publisher trust.Fingerprint, latest time.Time) {
	l.mu.Lock()
	lesson := l.lessons[publisher]
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
func (l *learner) next(now time.Time) (from peer.ID, publishers []trust.Fingerprint, again time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for publisher, lesson := range l.lessons {
		switch {
		case lesson.busy:
		case lesson.due.After(now):
			if again.IsZero() || lesson.due.Before(again) {
				again = lesson.due
			}
		case len(publishers) == 0 || (lesson.from == from && len(publishers) < maxAsks):
			from, lesson.busy = lesson.from, true
			publishers = append(publishers, publisher)
		}
	}
	return from, publishers, again
}

// finish ends an attempt. known says of a head whether it is held by now;
// other returns somebody to ask instead.
func (l *learner) finish(publisher trust.Fingerprint, known func(trust.Head) bool, other func() peer.ID) {
	l.mu.Lock()
	lesson := l.lessons[publisher]
	if lesson == nil {
		l.mu.Unlock()
		return
	}
	head := lesson.head
	l.mu.Unlock()
	learnt, next := known(head), other()
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
	if next != "" {
		lesson.from = next
	}
	lesson.due = time.Now().Add(learnRetry << (lesson.attempts - 1))
}

// keepLearning runs sessions for what the topic has brought until ctx ends.
func (g *Gossip) keepLearning(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(learners)
	for {
		from, publishers, again := g.learn.next(time.Now())
		if len(publishers) > 0 {
			group.Go(func() error {
				g.learnFrom(ctx, from, publishers)
				return nil
			})
			continue
		}
		if err := sleepUntil(ctx, again, g.learn.wake); err != nil {
			_ = group.Wait() // never an error
			return err
		}
	}
}

func (g *Gossip) learnFrom(ctx context.Context, from peer.ID, publishers []trust.Fingerprint) {
	if err := g.reconcile(ctx, from, publishers); err != nil && ctx.Err() == nil {
		g.config.Logger.Info("learning failed", slog.String("peer", from.String()), slog.Int("publishers", len(publishers)), slog.Any("error", err))
	}
	known := func(head trust.Head) bool {
		verdict, err := g.config.State.CheckHead(head)
		return err != nil || (verdict != trust.HeadNew && verdict != trust.HeadNeedsRoot)
	}
	for _, publisher := range publishers {
		g.learn.finish(publisher, known, func() peer.ID { return g.meets.any(from) })
	}
}

// sleepUntil returns nil at the given time (never, if it is zero) or at a token
// of wake, and the error of ctx when that ends.
func sleepUntil(ctx context.Context, at time.Time, wake <-chan struct{}) error {
	var due <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("gossip stops: %w", ctx.Err())
	case <-due:
	case <-wake:
	}
	return nil
}

// jitter returns a duration within a quarter of d, so that nodes that started
// together do not stay together.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2)
}
