package transfer

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// benchStore does the work of the real store except for the disk: it verifies
// what it gives and takes.
type benchStore struct {
	*memStore
	r    *release // nil: holds nothing
	mu   sync.Mutex
	held manifest.Ranges
	sums []manifest.Digest
}

func newBenchStore(r *release, full bool) *benchStore {
	s := &benchStore{memStore: r.seedBlocks(newMemStore())}
	for i := range r.chunkCount(0) {
		s.sums = append(s.sums, manifest.SumDigest(r.chunk(0, i)))
	}
	if full {
		s.r, s.held = r, manifest.NewRanges(0, r.chunkCount(0))
	}
	return s
}

func (s *benchStore) Held(manifest.FileID) (manifest.Ranges, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, nil
}

func (s *benchStore) Chunk(_ context.Context, _ manifest.FileID, i int, buf []byte) ([]byte, error) {
	out := append(buf[:0], s.r.chunk(0, i)...)
	if manifest.SumDigest(out) != s.sums[i] {
		return nil, manifest.ErrContent
	}
	return out, nil
}

func (s *benchStore) PutChunk(_ context.Context, _ manifest.FileID, i int, data []byte) error {
	if manifest.SumDigest(data) != s.sums[i] {
		return manifest.ErrContent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = s.held.Add(i)
	return nil
}

func cpuSeconds(tb testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkLoopback fetches a release from one peer over loopback TCP, with the
// CPU time of both ends, three SHA-256 passes and encryption counted; beside it
// a plain TCP copy of the same bytes.
func BenchmarkLoopback(b *testing.B) {
	const size = 256 << 20
	r := makeRelease(b, 60, size)
	report := func(b *testing.B, cpu float64) {
		bytes := float64(size) * float64(b.N)
		b.SetBytes(size)
		b.ReportMetric(bytes/1e6/cpu, "MB/s-per-core")
		b.ReportMetric(cpu/bytes*(1<<30), "core-s/GiB")
	}
	b.Run("transfer", func(b *testing.B) {
		var stop []func()
		seed := newNode(b, newHost(b), nil, func(c *Config) { c.Store = newBenchStore(r, true) })
		var cpu float64
		for b.Loop() {
			b.StopTimer()
			n := newNode(b, newHost(b), nil, func(c *Config) { c.Store = newBenchStore(r, false) })
			meet(b, seed, n)
			runtime.GC()
			before := cpuSeconds(b)
			b.StartTimer()
			if err := n.Fetch(within(b, time.Hour), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
				b.Fatal(err)
			}
			cpu += cpuSeconds(b) - before
			stop = append(stop, n.stop)
		}
		report(b, cpu)
		for _, f := range stop {
			f()
		}
	})
	b.Run("plain-tcp", func(b *testing.B) {
		l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		before := cpuSeconds(b)
		for b.Loop() {
			var wg sync.WaitGroup
			wg.Go(func() {
				c, err := l.Accept()
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				for at := 0; at < size; at += 128 << 10 {
					if _, err := c.Write(r.data[0][at:][:128<<10]); err != nil {
						b.Error(err)
						return
					}
				}
			})
			c, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 128<<10)); err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
			wg.Wait()
		}
		report(b, cpuSeconds(b)-before)
	})
}
