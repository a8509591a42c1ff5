package node

import (
	"math/rand/v2"
	"time"
)

// pace is how this node dials. A dial that nobody answers costs about 300
// bytes of SYN packets, one that is answered and refused about 3,000.
type pace struct {
	first, last time.Duration // waits for a peer that does not answer: the first, and what they grow to
	dial        time.Duration // a whole dial, handshakes included
	connect     time.Duration // the TCP part of it
	fallback    time.Duration // head start of TCP before QUIC is tried, outside
	dials       int           // that may be made at once
	each        time.Duration // in which one more is allowed, whoever is dialled
}

// pace returns that of the preset. The round trips of a handshake take five
// times 600 ms on a satellite link. A peer that never answers costs there, at
// the last wait, 2 kB a day; a hundred made-up ones 30 kB, until they are
// forgotten.
func (p Preset) pace() pace {
	switch p {
	case WAN:
		return pace{
			first: 2 * time.Second, last: 10 * time.Minute, dial: 30 * time.Second, connect: 10 * time.Second, fallback: 2 * time.Second,
			dials: 16, each: 5 * time.Second,
		}
	case Narrow:
		return pace{
			first: 10 * time.Second, last: time.Hour, dial: 90 * time.Second, connect: 30 * time.Second, fallback: 15 * time.Second,
			dials: 12, each: 2 * time.Minute,
		}
	case Satellite:
		return pace{
			first: 30 * time.Second, last: 4 * time.Hour, dial: 90 * time.Second, connect: 30 * time.Second, fallback: 20 * time.Second,
			dials: 8, each: 15 * time.Minute,
		}
	default:
		return pace{
			first: 2 * time.Second, last: 5 * time.Minute, dial: 30 * time.Second, connect: 5 * time.Second, fallback: 250 * time.Millisecond,
			dials: maxNear, each: time.Second,
		}
	}
}

func (p pace) ration() ration { return ration{left: p.dials, most: p.dials, each: p.each} }

// backoff is how long to leave a peer alone. Its times come from time.Now and
// are compared with such, so that they follow the monotonic clock: a wall clock
// that jumps changes no wait.
type backoff struct {
	until time.Time
	wait  time.Duration
	asked time.Time // until when the peer itself asked to be left alone
}

// failed doubles the wait, with a jitter of a quarter so that nodes that lost
// the same peer do not come back together, and returns its end.
func (b *backoff) failed(now time.Time, p pace) time.Time {
	b.wait = min(max(2*b.wait, p.first), p.last)
	b.until = now.Add(b.wait + rand.N(b.wait/4))
	return b.until
}

// leave notes that the peer asked to be left alone for so long.
func (b *backoff) leave(now time.Time, wait time.Duration) { b.asked = now.Add(wait) }

// end returns when the peer may be dialled. What it asked for binds nodes that
// have other contact; a node that has none dials it all the same.
func (b *backoff) end(contact bool) time.Time {
	if contact && b.asked.After(b.until) {
		return b.asked
	}
	return b.until
}

// ration allows some actions at once, and one more each while. Callers
// serialise.
type ration struct {
	left, most int
	each       time.Duration
	filled     time.Time
}

// take uses one up, or says when there will be one.
func (r *ration) take(now time.Time) (ok bool, again time.Time) {
	if r.filled.IsZero() {
		r.filled = now
	}
	if n := int(now.Sub(r.filled) / r.each); n > 0 {
		r.left = min(r.left+n, r.most)
		r.filled = r.filled.Add(time.Duration(n) * r.each)
	}
	if r.left == 0 {
		return false, r.filled.Add(r.each)
	}
	if r.left == r.most {
		r.filled = now
	}
	r.left--
	return true, now
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
