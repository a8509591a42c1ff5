package parley

import (
	"context"
	"math/rand/v2"
	"time"
)

// SleepUntil returns nil at the given time (never, if it is zero) or at a token
// of wake, and the error of ctx when that ends.
func SleepUntil(ctx context.Context, at time.Time, wake <-chan struct{}) error {
	var due <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-due:
	case <-wake:
	}
	return nil
}

// Jitter returns a duration within a quarter of d, which is at least 2 ns, so
// that nodes that started together do not stay together.
func Jitter(d time.Duration) time.Duration { return d - d/4 + rand.N(d/2) }
