package transfer

import (
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// toll is a link of a test: a rate in bytes a second, and so many bytes until it
// closes.
type toll struct {
	mu     sync.Mutex
	rate   float64
	left   int64
	passed int64
	free   time.Time // before which the rate is used up
}

func (m *toll) Path(network.Conn) Path {
	return Path{Link: WAN, Named: true, Meter: m}
}

func (m *toll) Admit(Use) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left <= 0 {
		return 0, &WaitError{Reason: "the budget is spent", Until: time.Now().Add(time.Minute)}
	}
	return m.left, nil
}

func (m *toll) Take(_ Use, n int, up bool) (int, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if m.left <= 0 {
		if err = (&WaitError{Reason: "the budget is spent"}); up {
			return 0, 0, err
		}
	}
	m.left -= int64(n)
	m.passed += int64(n)
	if m.rate == 0 {
		return n, 0, err
	}
	now := time.Now()
	if m.free.Before(now) {
		m.free = now
	}
	m.free = m.free.Add(time.Duration(float64(n) / m.rate * float64(time.Second)))
	return n, m.free.Sub(now), err
}

func (m *toll) refill(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = n
}

func (m *toll) used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed
}

// TestPathKeepsRateAndBudget: a fetch goes no faster than its link lets it, stops
// at the bound, keeps what arrived, and goes on once the link is open.
func TestPathKeepsRateAndBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := link{20 * mbit, 10 * time.Millisecond}
		hosts := simHosts(t, l, l)
		r := makeRelease(t, 40, 4<<20)
		gate := &toll{rate: 100_000, left: 1 << 20}
		a := newNode(t, hosts[0], r.seed(newMemStore(), nil))
		b := newNode(t, hosts[1], r.seedBlocks(newMemStore()), func(c *Config) { c.Paths = gate })
		meet(t, a, b)
		start, done := time.Now(), make(chan error, 1)
		go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
		time.Sleep(5 * time.Minute)
		select {
		case err := <-done:
			t.Fatalf("it ended with %v over a closed link", err)
		default:
		}
		if used := gate.used(); used < 900_000 || used > 1<<20+256<<10 {
			t.Errorf("%d bytes passed, the budget is %d", used, 1<<20)
		}
		gate.refill(1 << 30)
		again := time.Now()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.check(t, b.store)
		if b.store.again != 0 {
			t.Errorf("%d chunks came twice", b.store.again)
		}
		busy := time.Since(again) + 10*time.Second
		if least := time.Duration(float64(gate.used()-1<<20) / 100_000 * float64(time.Second)); busy < least {
			t.Errorf("%d bytes in %s, and %s in all", gate.used(), busy, time.Since(start))
		}
		b.stop()
		a.stop()
	})
}

// TestClosedServerIsBusy: a peer that comes over a closed link is told when to
// come back, for few bytes, and is served then.
func TestClosedServerIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := link{20 * mbit, 10 * time.Millisecond}
		hosts := simHosts(t, l, l)
		r := makeRelease(t, 41, 1<<20)
		gate := &toll{}
		a := newNode(t, hosts[0], r.seed(newMemStore(), nil), func(c *Config) { c.Paths = gate })
		b := newNode(t, hosts[1], r.seedBlocks(newMemStore()))
		meet(t, a, b)
		done := make(chan error, 1)
		go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
		time.Sleep(10 * time.Minute)
		if sent := b.Stats().BytesReceived; sent == 0 || sent > 4096 {
			t.Errorf("%d bytes were sent over a closed link in 10 minutes", sent)
		}
		gate.refill(1 << 30)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.check(t, b.store)
		b.stop()
		a.stop()
	})
}
