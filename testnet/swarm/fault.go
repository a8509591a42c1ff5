package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// courierSite is where the courier is first: it is the last node there.
const courierSite = publisherSite + 1

// fault is what goes wrong during an update, and when each node held it all the
// same. Make one with newFault.
type fault struct {
	b        *bed
	kind     kind
	dark     time.Duration
	lastSite int
	courier  int // index in b.takers, -1 for none

	mu       sync.Mutex // owns what follows
	start    time.Time
	contact  time.Time // when the last site could be reached again
	done     []time.Time
	returned chan struct{} // closed once the courier holds the update
}

func newFault(b *bed, c benchCase, dark time.Duration) *fault {
	f := &fault{b: b, kind: c.kind, dark: dark, lastSite: b.Sites() - 1, courier: -1, done: make([]time.Time, len(b.takers)), returned: make(chan struct{})}
	if c.kind == theCourier {
		f.courier = c.nodes // the last of the first site, whose nodes come first
	}
	return f
}

// begin cuts the last site off if it is to be without contact.
func (f *fault) begin(ctx context.Context) error {
	f.start = time.Now()
	f.contact = f.start
	if f.kind != darkSite && f.kind != theCourier {
		return nil
	}
	return f.b.Cut(ctx, f.lastSite)
}

// during runs the update, and brings the last site back into contact: after a
// while, or by the courier once it holds the update.
func (f *fault) during(ctx context.Context, update func(context.Context, func(int)) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return update(ctx, f.arrived) })
	group.Go(func() error {
		switch f.kind {
		case darkSite:
			if err := pause(ctx, f.dark); err != nil {
				return err
			}
			defer f.inContact()
			return f.b.Restore(ctx, f.lastSite)
		case theCourier:
			select {
			case <-f.returned:
			case <-ctx.Done():
				return fmt.Errorf("the courier waits: %w", ctx.Err())
			}
			defer f.inContact()
			return f.b.Move(ctx, f.b.takers[f.courier].Node, f.lastSite)
		}
		return nil
	})
	return group.Wait()
}

func (f *fault) inContact() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contact = time.Now()
}

func (f *fault) arrived(taker int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[taker] = time.Now()
	if taker == f.courier {
		close(f.returned)
	}
}

// took returns how long a node took, from the offer, or from the return of
// contact if it was cut off.
func (f *fault) took(taker int) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	since := f.start
	if f.b.takers[taker].home == f.lastSite {
		since = f.contact
	}
	return f.done[taker].Sub(since)
}
