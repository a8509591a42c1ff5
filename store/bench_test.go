package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const benchBytes = 256 << 20

// benchFixture is a release of one file, cut into chunks of 512 KiB as the
// chunker cuts a file of that size. The noise repeats with a period that no
// chunk divides, so that every chunk is another.
func benchFixture(b *testing.B, size int) *fixture {
	b.Helper()
	data := make([]byte, size)
	period := noise(7, 16<<20+17)
	for at := 0; at < size; at += copy(data[at:], period) {
	}
	x := &fixture{data: map[string][]byte{"m": data}}
	f, blocks := describeFile(b, "m", data, 4*manifest.MinChunkBytes)
	x.blocks = blocks
	x.m = &manifest.Manifest{Schema: 1, Model: "acme/big", Variants: []manifest.Variant{{Name: "default", Format: "bytes", Files: []manifest.File{f}}}}
	x.sign(b, "1", 1)
	return x
}

func benchChunks(x *fixture, f func(i int, data []byte)) {
	chunks := layoutOf(len(x.data["m"]), 4*manifest.MinChunkBytes).Chunks()
	for i := range chunks.Len() {
		offset, n := chunks.At(i)
		f(i, x.data["m"][offset:][:n])
	}
}

// BenchmarkPutChunk writes 256 MiB chunk by chunk, durable at the end, beside a
// plain write and fsync of the same bytes, and beside hashing them.
func BenchmarkPutChunk(b *testing.B) {
	x := benchFixture(b, benchBytes)
	b.Run("store", func(b *testing.B) {
		b.SetBytes(benchBytes)
		for b.Loop() {
			b.StopTimer()
			s := open(b, testConfig(b, b.TempDir()))
			begin(b, s, x)
			b.StartTimer()
			benchChunks(x, func(i int, data []byte) {
				must(b, s.PutChunk(context.Background(), x.file("m").ID(), i, data))
			})
			must(b, s.Flush(context.Background()))
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(benchBytes)
		for b.Loop() {
			f, err := os.Create(filepath.Join(b.TempDir(), "m"))
			must(b, err)
			benchChunks(x, func(_ int, data []byte) {
				_, err := f.Write(data)
				must(b, err)
			})
			must(b, errors.Join(f.Sync(), f.Close()))
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(benchBytes)
		for b.Loop() {
			benchChunks(x, func(_ int, data []byte) { sha256.Sum256(data) })
		}
	})
}

// BenchmarkChunk reads chunks verified, as a node does that serves peers.
func BenchmarkChunk(b *testing.B) {
	x := benchFixture(b, 64<<20)
	s := open(b, testConfig(b, b.TempDir()))
	begin(b, s, x)
	benchChunks(x, func(i int, data []byte) {
		must(b, s.PutChunk(context.Background(), x.file("m").ID(), i, data))
	})
	must(b, s.Flush(context.Background()))
	b.SetBytes(64 << 20)
	buf := make([]byte, manifest.MaxChunkBytes)
	for b.Loop() {
		benchChunks(x, func(i int, _ []byte) {
			_, err := s.Chunk(context.Background(), x.file("m").ID(), i, buf)
			must(b, err)
		})
	}
}

// BenchmarkPublish stages, hashes as the chunker does (whole file and chunks, in
// two goroutines) and adopts 256 MiB, durable at the end, beside sha256sum.
func BenchmarkPublish(b *testing.B) {
	x := benchFixture(b, benchBytes)
	path := filepath.Join(b.TempDir(), "m")
	must(b, os.WriteFile(path, x.data["m"], 0o644))
	for _, inPlace := range []bool{false, true} {
		b.Run(map[bool]string{false: "copy", true: "in-place"}[inPlace], func(b *testing.B) {
			b.SetBytes(benchBytes)
			for b.Loop() {
				b.StopTimer()
				s := open(b, testConfig(b, b.TempDir()))
				b.StartTimer()
				start := time.Now()
				st, err := s.Stage(context.Background(), path, inPlace)
				must(b, err)
				staged := time.Since(start)
				hashTwice(b, x, st.Files[0].FullPath)
				hashed := time.Since(start)
				must(b, s.Adopt(context.Background(), st, x.Release, "default", x.blocks))
				b.ReportMetric(staged.Seconds(), "stage-s")
				b.ReportMetric((hashed - staged).Seconds(), "hash-s")
				b.ReportMetric((time.Since(start) - hashed).Seconds(), "adopt-s")
			}
		})
	}
	b.Run("sha256sum", func(b *testing.B) {
		b.SetBytes(benchBytes)
		for b.Loop() {
			if err := exec.CommandContext(b.Context(), "sha256sum", path).Run(); err != nil {
				b.Skipf("SKIP: no sha256sum: %v", err)
			}
		}
	})
}

func hashTwice(b *testing.B, x *fixture, path string) {
	done := make(chan error, 1)
	go func() {
		f, err := os.Open(path)
		if err == nil {
			_, err = io.Copy(sha256.New(), f)
			err = errors.Join(err, f.Close())
		}
		done <- err
	}()
	f, err := os.Open(path)
	must(b, err)
	buf := make([]byte, manifest.MaxChunkBytes)
	benchChunks(x, func(_ int, data []byte) {
		_, err := io.ReadFull(f, buf[:len(data)])
		must(b, err)
		sha256.Sum256(buf[:len(data)])
	})
	must(b, errors.Join(<-done, f.Close()))
}
