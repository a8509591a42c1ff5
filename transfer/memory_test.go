package transfer

import (
	"context"
	"crypto/rand"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// patternStore holds a file that repeats one MiB for ever, in no memory.
type patternStore struct {
	*memStore
	pattern []byte
	chunks  manifest.Chunks
	mu      sync.Mutex
	held    manifest.Ranges
}

func (s *patternStore) Held(manifest.FileID) (manifest.Ranges, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, nil
}

func (s *patternStore) Chunk(_ context.Context, _ manifest.FileID, i int, buf []byte) ([]byte, error) {
	off, n := s.chunks.At(i)
	return append(buf[:0], s.pattern[int(off)%len(s.pattern):][:n]...), nil
}

func (s *patternStore) PutChunk(_ context.Context, _ manifest.FileID, i int, _ []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = s.held.Add(i)
	return nil
}

// TestMemoryIsBounded: a fetch of any size takes a few MiB on both ends
// together; here 512 MiB from two peers in one process with them.
func TestMemoryIsBounded(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: the race detector takes memory of its own; this test runs again without it")
	}
	if testing.Short() {
		t.Skip("SKIP: moves 512 MiB; run without -short")
	}
	const size = 512 << 20
	pattern := make([]byte, 1<<20)
	_, _ = rand.Read(pattern)
	l := &manifest.Layout{Schema: 1, Format: "bytes", Size: size, Chunk: manifest.MinChunkBytes}
	chunks := l.Chunks()
	digests := make([]manifest.Digest, chunks.Len())
	for i := range digests {
		off, n := chunks.At(i)
		digests[i] = manifest.SumDigest(pattern[int(off)%len(pattern):][:n])
	}
	root, blocks, err := manifest.BuildDigests(digests)
	if err != nil {
		t.Fatal(err)
	}
	lb := encode(t, l)
	file := manifest.File{Path: "a", Size: size, Layout: lb.CID, Digests: root}
	stores := make([]*patternStore, 3)
	nodes := make([]*node, 3)
	for n := range stores {
		stores[n] = &patternStore{memStore: newMemStore(), pattern: pattern, chunks: chunks}
		for _, b := range append(blocks, lb) {
			_ = stores[n].PutBlock(b)
		}
		if n > 0 {
			stores[n].held = manifest.NewRanges(0, chunks.Len())
		}
		nodes[n] = newNode(t, newHost(t), nil, func(c *Config) { c.Store = stores[n] })
	}
	meet(t, nodes...)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak uint64
	done := make(chan error, 1)
	go func() {
		done <- nodes[0].Fetch(within(t, 2*time.Minute), Job{Release: root, Files: []manifest.File{file}})
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		case <-time.After(20 * time.Millisecond):
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse+now.StackInuse)
		}
	}
	grown := int64(peak) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("%d MiB moved; memory of three nodes grew by %.1f MiB to %.1f MiB", size>>20, float64(grown)/(1<<20), float64(peak)/(1<<20))
	if grown > 48<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if got := stores[0].held.Count(); got != chunks.Len() {
		t.Errorf("%d of %d chunks", got, chunks.Len())
	}
}
