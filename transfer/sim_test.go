package transfer

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if raced.Enabled { // golang/go#78156
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, f)
}

const mbit = 1_000_000

// TestWindowFillsLongPipe: at 600 ms there and back the window must grow to
// megabytes; one of fixed 256 KiB would let 430 kB/s through.
func TestWindowFillsLongPipe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := link{20 * mbit, 300 * time.Millisecond}
		hosts := simHosts(t, l, l, l, l)
		r := makeRelease(t, 20, 32<<20)
		connect(t, hosts[2], hosts[3])
		plain := plainCopy(t, hosts[2], hosts[3], r.data[0])

		a := newNode(t, hosts[0], r.seed(newMemStore(), nil))
		b := newNode(t, hosts[1], r.seedBlocks(newMemStore()))
		meet(t, a, b)
		start := time.Now()
		if err := b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		r.check(t, b.store)
		t.Logf("took %s, a plain copy %s", took, plain)
		if took > plain*5/4 {
			t.Errorf("took %s, a plain copy %s", took, plain)
		}
		if rtt := b.Stats().Peers[0].RTT; rtt < 600*time.Millisecond || rtt > 700*time.Millisecond {
			t.Errorf("RTT measured as %s", rtt)
		}
		b.stop()
		a.stop()
	})
}

// TestPeerLostInMidFetch: one of two seeds vanishes without a word, its chunks
// go to the other, and what arrived is not asked for again.
func TestPeerLostInMidFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := link{10 * mbit, 20 * time.Millisecond}
		hosts := simHosts(t, l, l, l)
		r := makeRelease(t, 21, 8<<20)
		a := newNode(t, hosts[0], r.seed(newMemStore(), nil))
		c := newNode(t, hosts[1], r.seed(newMemStore(), nil))
		b := newNode(t, hosts[2], newMemStore())
		meet(t, a, b)
		meet(t, c, b)
		var once sync.Once
		var last Progress
		err := fetchAll(within(t, time.Hour), b, r, func(p Progress) {
			if last = p; p.StoredBytes > r.size()/3 {
				once.Do(func() { go func() { _ = hosts[0].Close() }() })
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		r.check(t, b.store)
		if b.store.again != 0 || last.DuplicateBytes != 0 {
			t.Errorf("%d chunks and %d bytes came twice", b.store.again, last.DuplicateBytes)
		}
		if a.Stats().ChunksSent == 0 {
			t.Error("the first seed sent nothing before it was lost")
		}
		for _, n := range []*node{a, b, c} {
			n.stop()
		}
	})
}

// TestPeersComeAndGo: a fetch goes on with whoever is there; each peer stays
// for a while only.
func TestPeersComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := link{5 * mbit, 10 * time.Millisecond}
		hosts := simHosts(t, l, l, l, l)
		r := makeRelease(t, 22, 6<<20)
		b := newNode(t, hosts[0], newMemStore())
		var nodes []*node
		for _, h := range hosts[1:] {
			nodes = append(nodes, newNode(t, h, r.seed(newMemStore(), nil)))
		}
		done := make(chan error, 1)
		go func() { done <- fetchAll(within(t, time.Hour), b, r, nil) }()
		for i := 0; ; i++ {
			n := nodes[i%len(nodes)]
			connect(t, n.host, b.host)
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				r.check(t, b.store)
				if b.store.again != 0 {
					t.Errorf("%d chunks came twice", b.store.again)
				}
				if i < 2 {
					t.Errorf("done after %d visits: nothing was tested", i)
				}
				for _, n := range append(nodes, b) {
					n.stop()
				}
				return
			case <-time.After(3 * time.Second):
			}
			_ = n.host.Network().ClosePeer(b.host.ID())
			time.Sleep(20 * time.Second)
		}
	})
}

// TestSwarmOverNarrowUplink: four fetchers behind links as fast as the seed's
// take little longer than one copy takes to leave the seed.
func TestSwarmOverNarrowUplink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := link{2 * mbit, 20 * time.Millisecond}
		hosts := simHosts(t, l, l, l, l, l)
		r := makeRelease(t, 23, 8<<20)
		nodes := []*node{newNode(t, hosts[0], r.seed(newMemStore(), nil))}
		for _, h := range hosts[1:] {
			nodes = append(nodes, newNode(t, h, newMemStore()))
		}
		meet(t, nodes...)
		ctx := within(t, time.Hour)
		start := time.Now()
		var wg sync.WaitGroup
		for _, n := range nodes[1:] {
			wg.Go(func() {
				if err := fetchAll(ctx, n, r, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		took, ideal := time.Since(start), time.Duration(float64(r.size())*8/(2*mbit)*float64(time.Second))
		copies := float64(nodes[0].Stats().ChunksSent) / float64(r.chunkCount(0))
		t.Logf("took %s, one copy takes %s; the seed sent %.2f copies", took, ideal, copies)
		if copies > 1.5 || took > 2*ideal {
			t.Errorf("took %s, one copy takes %s; the seed sent %.2f copies", took, ideal, copies)
		}
		for _, n := range nodes {
			r.check(t, n.store)
			n.stop()
		}
	})
}

// TestHaveUpdates: a fetch that waits is told of chunks that its peer's store
// comes to hold by other means.
func TestHaveUpdates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 24, 2<<20)
		l := link{10 * mbit, 10 * time.Millisecond}
		hosts := simHosts(t, l, l)
		a := newNode(t, hosts[0], newMemStore())
		b := newNode(t, hosts[1], r.seedBlocks(newMemStore()))
		meet(t, a, b)
		done := make(chan error, 1)
		go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
		time.Sleep(time.Minute)
		r.seed(a.store, nil)
		start := time.Now()
		a.Changed(r.files[0].ID())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s after the chunks were there", took)
		}
		a.stop()
		b.stop()
	})
}

// TestSeedBehindManyIdlePeers: peers that hold nothing do not keep the one that
// does from being asked.
func TestSeedBehindManyIdlePeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 25, 1<<20)
		links := make([]link, maxFetchSessions+4)
		for i := range links {
			links[i] = link{10 * mbit, 10 * time.Millisecond}
		}
		hosts := simHosts(t, links...)
		b := newNode(t, hosts[0], r.seedBlocks(newMemStore()))
		nodes := []*node{b}
		for _, h := range hosts[1:] {
			n := newNode(t, h, newMemStore())
			nodes = append(nodes, n)
		}
		last := nodes[len(nodes)-1]
		r.seed(last.store, nil)
		for _, n := range nodes[1 : len(nodes)-1] {
			connect(t, n.host, b.host)
		}
		done := make(chan error, 1)
		go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
		time.Sleep(time.Second)
		if got := b.Stats().Fetching; got != maxFetchSessions {
			t.Errorf("%d sessions, want %d", got, maxFetchSessions)
		}
		connect(t, last.host, b.host)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			n.stop()
		}
	})
}
