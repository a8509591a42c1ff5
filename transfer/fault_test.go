package transfer

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"

	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// lost is longer than any test of this file: a packet that takes so long does
// not arrive.
const lost = 1000 * time.Hour

// weather spoils links: a packet between two hosts arrives after what delay
// says, or not at all.
type weather struct {
	delay atomic.Pointer[func(from, to int) time.Duration]
}

func (w *weather) set(delay func(from, to int) time.Duration) { w.delay.Store(&delay) }

// losing loses a part of all packets, the same ones each time.
func losing(part float64, latency time.Duration) func(int, int) time.Duration {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	return func(int, int) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if rng.Float64() < part {
			return lost
		}
		return latency
	}
}

// TestLossAndDelay: over a satellite that loses packets a release comes, and
// what travels is little more than it.
func TestLossAndDelay(t *testing.T) {
	for _, part := range []float64{0.05, 0.2} {
		t.Run(fmt.Sprintf("%.0f %% lost, 600 ms", 100*part), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := makeRelease(t, 71, 512<<10)
				w := &weather{}
				w.set(losing(part, 300*time.Millisecond))
				hosts := simWeather(t, w, same(link{mbit, 0}, 2)...)
				satellite := func(c *Config) { c.Link = Satellite }
				a := newNode(t, hosts[0], r.seed(newMemStore(), nil), satellite)
				b := newNode(t, hosts[1], newMemStore(), satellite)
				meet(t, a, b)
				start := time.Now()
				if err := fetchAll(within(t, 10*time.Hour), b, r, nil); err != nil {
					t.Fatal(err)
				}
				r.check(t, b.store)
				s := b.Stats()
				t.Logf("%s; %d bytes for %d", time.Since(start), s.BytesReceived, r.size())
				if s.BytesReceived > r.size()*103/100 || s.BadPeers > 0 {
					t.Errorf("%d bytes for %d, %d peers dropped", s.BytesReceived, r.size(), s.BadPeers)
				}
				a.stop()
				b.stop()
			})
		})
	}
}

// TestNarrowUplink: a peer that sends at 9.6 kbit/s is not taken for one that
// stalls, though a chunk takes two minutes.
func TestNarrowUplink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 72, 256<<10)
		hosts := simHosts(t, link{9_600, 50 * time.Millisecond}, link{mbit, 50 * time.Millisecond})
		narrow := func(c *Config) { c.Link = Narrow }
		a := newNode(t, hosts[0], r.seed(newMemStore(), nil), narrow)
		b := newNode(t, hosts[1], newMemStore(), narrow)
		meet(t, a, b)
		start := time.Now()
		if err := fetchAll(within(t, 10*time.Hour), b, r, nil); err != nil {
			t.Fatal(err)
		}
		r.check(t, b.store)
		took, ideal, s := time.Since(start), time.Duration(r.size()*8)*time.Second/9_600, b.Stats()
		t.Logf("%s, %s at line rate; %d bytes for %d", took, ideal, s.BytesReceived, r.size())
		if took > ideal*115/100 || s.BytesReceived > r.size()*102/100 || s.BadPeers > 0 {
			t.Errorf("%s, %s at line rate; %d bytes for %d, %d peers dropped", took, ideal, s.BytesReceived, r.size(), s.BadPeers)
		}
		a.stop()
		b.stop()
	})
}

// TestFastPeerGoesSilent: of two seeds the fast one says nothing any more, its
// connection standing; the slow one delivers the rest, and little comes twice.
func TestFastPeerGoesSilent(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: takes a minute with the race detector; this test runs again without it")
	}
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 73, 8<<20)
		w := &weather{}
		w.set(func(int, int) time.Duration { return 20 * time.Millisecond })
		hosts := simWeather(t, w, link{20 * mbit, 0}, link{mbit, 0}, link{50 * mbit, 0})
		fast := newNode(t, hosts[0], r.seed(newMemStore(), nil))
		slow := newNode(t, hosts[1], r.seed(newMemStore(), nil))
		b := newNode(t, hosts[2], r.seedBlocks(newMemStore()))
		meet(t, fast, slow, b)
		done := make(chan error, 1)
		go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
		time.Sleep(1500 * time.Millisecond)
		half := b.Stats().ChunksReceived
		w.set(func(from, to int) time.Duration {
			if from == 0 || to == 0 {
				return lost
			}
			return 20 * time.Millisecond
		})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.check(t, b.store)
		s := b.Stats()
		t.Logf("%d of %d chunks before; %d bytes twice of %d", half, r.chunkCount(0), s.DuplicateBytes, r.size())
		if half < 5 || int(half) == r.chunkCount(0) || s.DuplicateBytes*100 > r.size() {
			t.Errorf("%d of %d chunks before; %d bytes twice of %d", half, r.chunkCount(0), s.DuplicateBytes, r.size())
		}
		fast.stop()
		slow.stop()
		b.stop()
	})
}

// TestAllRestart: every node, the seed too, ends in the middle and begins anew
// on what it has. No chunk that arrived comes again.
func TestAllRestart(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: takes a minute with the race detector; this test runs again without it")
	}
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 74, 4<<20)
		hosts := simHosts(t, same(link{2 * mbit, 10 * time.Millisecond}, 4)...)
		stores := []*memStore{r.seed(newMemStore(), nil)}
		for range hosts[1:] {
			stores = append(stores, r.seedBlocks(newMemStore()))
		}
		held := func() (n int) {
			for _, s := range stores[1:] {
				h, _ := s.Held(r.files[0].ID())
				n += h.Count()
			}
			return n
		}
		var received, duplicate uint64
		run := func(until time.Duration) {
			nodes := make([]*node, len(hosts))
			for i, h := range hosts {
				nodes[i] = newNode(t, h, stores[i])
			}
			meet(t, nodes...)
			ctx := within(t, time.Hour)
			var all sync.WaitGroup
			for _, n := range nodes[1:] {
				all.Go(func() { _ = n.Fetch(ctx, Job{Release: r.manifest.CID, Files: r.files}) })
			}
			if until > 0 {
				time.Sleep(until)
				for _, n := range nodes {
					n.stop()
				}
			}
			all.Wait()
			for _, n := range nodes {
				n.stop()
				received, duplicate = received+n.Stats().ChunksReceived, duplicate+n.Stats().DuplicateBytes
			}
		}
		run(12 * time.Second)
		before := held()
		run(0)
		for _, s := range stores {
			r.check(t, s)
		}
		t.Logf("%d chunks at the restart, %d received in all, %d wanted", before, received, 3*r.chunkCount(0))
		if before < 10 || int(received) != 3*r.chunkCount(0) || duplicate*100 > 3*r.size() {
			t.Errorf("%d chunks at the restart, %d received in all, %d wanted, %d bytes twice", before, received, 3*r.chunkCount(0), duplicate)
		}
	})
}

// TestPublisherGoneForEver: once one site has the release, the publisher is not
// needed any more.
func TestPublisherGoneForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 75, 2<<20)
		hosts := simHosts(t, same(link{2 * mbit, 10 * time.Millisecond}, 4)...)
		v := settle(t, hosts[:2], []int{0, 1}, chunkNode(t, r))
		v.fetch(t, within(t, time.Hour), r)
		v.nodes[0].stop()
		if err := hosts[0].Close(); err != nil {
			t.Fatal(err)
		}
		rest := settle(t, hosts[2:], []int{2, 3}, func(_ int, h host.Host, edit func(*Config)) *node {
			return newNode(t, h, newMemStore(), edit)
		})
		for _, n := range rest.nodes {
			connect(t, n.host, v.nodes[1].host)
		}
		rest.nodes = append([]*node{v.nodes[1]}, rest.nodes...)
		rest.fetch(t, within(t, time.Hour), r)
		rest.stop()
	})
}
