package links

import (
	"sync"
	"time"
)

// leastBurst is the least that may pass at once.
const leastBurst = 4 << 10

// bucket is a token bucket that may go into debt: who takes more than is there
// is told how long to wait, and whoever comes after waits behind. Tokens are
// bytes. Safe for concurrent use.
//
//	tokens grow by rate/8 a second, up to a burst
//	take(n): tokens -= n; wait = max(0, -tokens / (rate/8))
type bucket struct {
	mu     sync.Mutex
	rate   float64 // bytes a second; 0 for no bound
	burst  float64
	tokens float64
	at     time.Time // when tokens was right
}

// set changes the rate; what is owed stays owed.
func (b *bucket) set(r Rate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.fill(now)
	first := b.rate == 0
	b.rate = float64(r) / 8
	b.burst = max(b.rate/4, leastBurst)
	if first {
		b.tokens, b.at = b.burst, now
	}
	b.tokens = min(b.tokens, b.burst)
}

// fill adds the tokens since the last time; the caller holds mu.
func (b *bucket) fill(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(b.tokens+passed.Seconds()*b.rate, b.burst)
		b.at = now
	}
}

// take books n bytes and says how long to wait before they pass.
func (b *bucket) take(n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0
	}
	b.fill(time.Now())
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}

// piece returns how much to let pass at a time, so that several sessions take
// turns within a quarter of a second; the most for no bound.
func (b *bucket) piece(most int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return most
	}
	return min(most, max(int(b.rate/8), 1<<10))
}
