package transfer

import (
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
)

// effort picks how hard frames are compressed, so that the larger of sending
// time and coding time is least: Light on a LAN, Strong where bytes cost money.
// On a WAN it is Strong at first, and as long as chunks follow each other more
// slowly than strong coding takes: then it costs nothing, whether it is writes
// that take long, or the peer that asks no sooner because its link is slow. Where
// coding is what takes the time it is Fast, after about a MiB. One goroutine uses
// it.
type effort struct {
	coding float64   // ns per chunk byte of Strong, smoothed; 0 before the first
	pace   float64   // ns per chunk byte from the end of one to that of the next, smoothed
	last   time.Time // the end of the last chunk
	fast   bool      // strong coding holds up the link
}

const (
	// patience is how many times the time of coding a pause counts as at most,
	// and what is expected before anything was sent: buffers take the first
	// chunks at any speed.
	patience = 4
	// The paces, by the time of coding, under which Strong becomes Fast and over
	// which Fast becomes Strong.
	leaveStrong, leaveFast = 1.25, 1.5
)

func (e *effort) pick(l Link) codec.Effort {
	switch {
	case l == LAN:
		return codec.Light
	case l == WAN && e.fast:
		return codec.Fast
	}
	return codec.Strong
}

// coded takes how long a chunk of n bytes took to code, waiting for a core
// included.
func (e *effort) coded(with codec.Effort, n int, took time.Duration) {
	if with != codec.Strong || n == 0 {
		return
	}
	each := float64(took) / float64(n)
	if e.coding == 0 {
		e.coding, e.pace = each, patience*each
	}
	e.coding += (each - e.coding) / 8
}

// sent says that a chunk of n bytes was written at now.
func (e *effort) sent(n int, now time.Time) {
	took := now.Sub(e.last)
	first := e.last.IsZero()
	e.last = now
	if first || n == 0 || e.coding == 0 {
		return
	}
	e.pace += (min(float64(took)/float64(n), patience*e.coding) - e.pace) / 4
	if e.fast {
		e.fast = e.pace < leaveFast*e.coding
	} else {
		e.fast = e.pace < leaveStrong*e.coding
	}
}
