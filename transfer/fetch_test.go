package transfer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// fetchAll does what a node does that heard of a release.
func fetchAll(ctx context.Context, n *node, r *release, progress func(Progress)) error {
	if err := n.Blocks(ctx, nil, []manifest.CID{r.manifest.CID}); err != nil {
		return err
	}
	if err := n.Trees(ctx, nil, r.files); err != nil {
		return err
	}
	return n.Fetch(ctx, Job{Release: r.manifest.CID, Files: r.files, Progress: progress})
}

func within(tb testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	tb.Cleanup(cancel)
	return ctx
}

func TestFetchFromOne(t *testing.T) {
	r := makeRelease(t, 1, 12<<20, 100, 0, 70<<10)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	b := newNode(t, newHost(t), newMemStore())
	meet(t, a, b)
	var last Progress
	if err := fetchAll(within(t, 30*time.Second), b, r, func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	r.check(t, b.store)
	if last.WantedBytes != r.size() || last.StoredBytes != r.size() || last.DuplicateBytes != 0 {
		t.Errorf("progress %+v, want all of %d bytes", last, r.size())
	}
	s := b.Stats()
	if s.BytesReceived < r.size() || s.ChunksReceived != uint64(b.store.puts) || s.BlocksReceived != uint64(len(r.blocks))+1 || len(s.Peers) != 1 {
		t.Errorf("stats %+v", s)
	}
	// Nothing is missing: nothing is asked.
	before := b.Stats().BytesSent
	if err := fetchAll(t.Context(), b, r, nil); err != nil || b.Stats().BytesSent != before {
		t.Errorf("fetching again: %v, sent %d bytes", err, b.Stats().BytesSent-before)
	}
}

func TestOnlyWhatIsMissingIsAsked(t *testing.T) {
	r := makeRelease(t, 2, 8<<20)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	b := newNode(t, newHost(t), r.seed(newMemStore(), func(i int) bool { return i%3 != 0 }))
	meet(t, a, b)
	held := b.store.puts
	if err := fetchAll(within(t, 30*time.Second), b, r, nil); err != nil {
		t.Fatal(err)
	}
	r.check(t, b.store)
	if got, want := b.store.puts-held, r.chunkCount(0)-held; got != want || b.store.again != 0 {
		t.Errorf("%d chunks came, %d of them again; want %d", got, b.store.again, want)
	}
}

func TestEachByteOnceFromThree(t *testing.T) {
	r := makeRelease(t, 3, 16<<20)
	b := newNode(t, newHost(t), newMemStore())
	var holders []*node
	for k := range 3 {
		holders = append(holders, newNode(t, newHost(t), r.seed(newMemStore(), func(i int) bool { return i%3 == k })))
	}
	meet(t, append(holders, b)...)
	var last Progress
	if err := fetchAll(within(t, 30*time.Second), b, r, func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	r.check(t, b.store)
	if last.DuplicateBytes*100 > r.size() || b.store.again != 0 {
		t.Errorf("%d bytes twice of %d", last.DuplicateBytes, r.size())
	}
	for k, h := range holders {
		if got, want := h.Stats().ChunksSent, uint64(h.store.puts); got != want {
			t.Errorf("holder %d sent %d chunks, holds %d", k, got, want)
		}
	}
}

func TestSwarmTrades(t *testing.T) {
	r := makeRelease(t, 4, 16<<20)
	seed := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	nodes := []*node{seed}
	for range 4 {
		nodes = append(nodes, newNode(t, newHost(t), newMemStore()))
	}
	meet(t, nodes...)
	ctx := within(t, time.Minute)
	var wg sync.WaitGroup
	for _, n := range nodes[1:] {
		wg.Go(func() {
			if err := fetchAll(ctx, n, r, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, n := range nodes[1:] {
		r.check(t, n.store)
	}
	copies := float64(seed.Stats().ChunksSent) / float64(r.chunkCount(0))
	t.Logf("the seed sent %.2f copies to 4 fetchers", copies)
	if copies >= 2 {
		t.Errorf("the seed sent %.2f copies, want less than 2", copies)
	}
}

func TestFetchWaitsForPeers(t *testing.T) {
	r := makeRelease(t, 5, 1<<20)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	b := newNode(t, newHost(t), newMemStore())
	done := make(chan error, 1)
	go func() { done <- fetchAll(within(t, 30*time.Second), b, r, nil) }()
	select {
	case err := <-done:
		t.Fatalf("ended without a peer: %v", err)
	default:
	}
	meet(t, a, b)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.check(t, b.store)
}

func TestStoreErrorEndsFetch(t *testing.T) {
	r := makeRelease(t, 6, 4<<20)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	b := newNode(t, newHost(t), newMemStore())
	full := errors.New("disk is full: 3 MiB needed, 1 MiB free")
	b.store.putErr = func(puts int) error {
		if puts > 5 {
			return full
		}
		return nil
	}
	meet(t, a, b)
	err := fetchAll(within(t, 30*time.Second), b, r, nil)
	if !errors.Is(err, ErrStore) || !errors.Is(err, full) {
		t.Fatalf("%v, want ErrStore around the store's error", err)
	}
	if err := b.badPeer(a.host.ID()); err != nil {
		t.Errorf("the peer was blamed: %v", err)
	}
	// There is room again: the rest comes, and only the rest.
	b.store.putErr = nil
	if err := fetchAll(within(t, 30*time.Second), b, r, nil); err != nil {
		t.Fatal(err)
	}
	r.check(t, b.store)
	if b.store.again != 0 {
		t.Errorf("%d chunks came again", b.store.again)
	}
}

func TestInconsistentReleaseIsRefused(t *testing.T) {
	r := makeRelease(t, 7, 1<<20)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	b := newNode(t, newHost(t), newMemStore())
	meet(t, a, b)
	wrongSize := []manifest.File{r.files[0]}
	wrongSize[0].Size++
	otherTree := []manifest.File{r.files[0]}
	otherTree[0].Digests = r.files[0].Layout
	for _, files := range [][]manifest.File{wrongSize, otherTree} {
		if err := b.Trees(within(t, 10*time.Second), nil, files); !errors.Is(err, ErrManifest) {
			t.Errorf("%v, want ErrManifest", err)
		}
	}
}

func TestRunEndsFetches(t *testing.T) {
	r := makeRelease(t, 8, 1<<20)
	b := newNode(t, newHost(t), r.seedBlocks(newMemStore()))
	done := make(chan error, 1)
	go func() { done <- b.Fetch(t.Context(), Job{Release: r.manifest.CID, Files: r.files}) }()
	b.stop()
	if err := <-done; !errors.Is(err, ErrStopped) {
		t.Errorf("fetch ended with %v, want ErrStopped", err)
	}
	if err := b.Run(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("second run: %v, want ErrStopped", err)
	}
}
