package site

import (
	"context"
	"time"
)

// What a peer may say: bursts of a few, then as many a second as an honest one
// ever sends. Beyond that it is read no faster.
const (
	sayBurst    = 64
	sayInterval = tellInterval
)

// pace lets bursts through and holds up floods: the peer's stream fills, and
// then it is the peer that waits.
type pace struct{ free time.Time }

func (p *pace) wait(ctx context.Context) error {
	now := time.Now()
	if oldest := now.Add(-sayBurst * sayInterval); p.free.Before(oldest) {
		p.free = oldest
	}
	p.free = p.free.Add(sayInterval)
	if !p.free.After(now) {
		return nil
	}
	timer := time.NewTimer(p.free.Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
