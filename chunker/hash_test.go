package chunker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Hash gives what hashing file and chunks one by one gives, however the reader
// hands out its bytes.
func TestHashIsOfFileAndChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 1<<20).Draw(t, "size")
		data := bytes.Repeat([]byte(rapid.StringN(1, 30, 100).Draw(t, "text")), size)[:size]
		l, err := chunker.Layout(context.Background(), bytes.NewReader(data), int64(size), "net", chunker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = bytes.NewReader(data)
		if rapid.Bool().Draw(t, "halves") {
			r = iotest.HalfReader(r)
		}
		var last int64
		sum, err := chunker.Hash(context.Background(), r, l, func(n int64) {
			if n <= last {
				t.Fatalf("progress went from %d to %d", last, n)
			}
			last = n
		})
		if err != nil {
			t.Fatal(err)
		}
		if last != int64(size) {
			t.Errorf("progress ended at %d of %d", last, size)
		}
		if sum.SHA256 != manifest.SumDigest(data) {
			t.Error("the file's digest is wrong")
		}
		chunks := l.Chunks()
		if len(sum.Digests) != chunks.Len() {
			t.Fatalf("%d digests of %d chunks", len(sum.Digests), chunks.Len())
		}
		for i, d := range sum.Digests {
			offset, n := chunks.At(i)
			if d != manifest.SumDigest(data[offset:offset+uint64(n)]) {
				t.Errorf("digest of chunk %d is wrong", i)
			}
		}
	})
}

// A file that is not what was laid out is an error, and so is one that cannot
// be read; no goroutine stays behind: the bubble
// would not end.
func TestHashErrors(t *testing.T) { synctest.Test(t, testHashErrors) }

func testHashErrors(t *testing.T) {
	const size = 10 << 20
	l := layout(t, make([]byte, size), "net")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		cancelled bool
		r         io.Reader
		want      error
	}{
		"shorter":           {false, bytes.NewReader(make([]byte, size-1)), io.ErrUnexpectedEOF},
		"empty":             {false, bytes.NewReader(nil), io.ErrUnexpectedEOF},
		"longer":            {false, bytes.NewReader(make([]byte, size+1)), nil},
		"broken":            {false, io.MultiReader(bytes.NewReader(make([]byte, size/2)), iotest.ErrReader(errDisk)), errDisk},
		"broken at the end": {false, io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(errDisk)), errDisk},
		"cancelled":         {true, bytes.NewReader(make([]byte, size)), context.Canceled},
	} {
		ctx := t.Context()
		if c.cancelled {
			ctx = cancelled
		}
		sum, err := chunker.Hash(ctx, c.r, l, nil)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || sum.Digests != nil {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

func TestHashStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := layout(t, make([]byte, 8<<20), "net")
	read := int64(0)
	_, err := chunker.Hash(ctx, bytes.NewReader(make([]byte, 8<<20)), l, func(n int64) {
		read = n
		cancel()
	})
	if !errors.Is(err, context.Canceled) || read > 1<<20 {
		t.Errorf("%v after %d bytes", err, read)
	}
}

// A file of any size takes the same memory, digests aside.
func TestHashMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	l, err := chunker.Layout(t.Context(), zeros{}, size, "net", chunker.Options{DType: "i8"})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := chunker.Hash(t.Context(), io.NewSectionReader(zeros{}, 0, size), l, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 5<<20 {
		t.Errorf("%d bytes allocated, at most 5 MiB", n)
	}
}

// BenchmarkHash hashes a file of 1 GiB in the page cache, and compares with
// the sha256sum command on the same file in the same run: "x-sha256sum" is how
// many times as fast it is.
func BenchmarkHash(b *testing.B) {
	const size = 1 << 30
	f, path := bigFile(b, size)
	l, err := chunker.Layout(b.Context(), f, size, path, chunker.Options{DType: "i8"})
	if err != nil {
		b.Fatal(err)
	}
	hash := func() {
		if _, err := chunker.Hash(b.Context(), io.NewSectionReader(f, 0, size), l, nil); err != nil {
			b.Fatal(err)
		}
	}
	hash() // into the page cache
	reference := sha256sum(b, path)
	b.SetBytes(size)
	var took time.Duration
	for b.Loop() {
		start := time.Now()
		hash()
		took += time.Since(start)
	}
	report(b, took, reference)
}

// BenchmarkPublish is what publishing costs here: to lay out a file of no
// known format, which reads it once, and to hash it, which reads it again.
func BenchmarkPublish(b *testing.B) {
	const size = 1 << 30
	f, path := bigFile(b, size)
	reference := sha256sum(b, path)
	b.SetBytes(size)
	var took time.Duration
	for b.Loop() {
		start := time.Now()
		l, err := chunker.Layout(b.Context(), f, size, path, chunker.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := chunker.Hash(b.Context(), io.NewSectionReader(f, 0, size), l, nil); err != nil {
			b.Fatal(err)
		}
		took += time.Since(start)
	}
	report(b, took, reference)
}

// bigFile writes size bytes that do not repeat within a chunk.
func bigFile(b *testing.B, size int64) (*os.File, string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "net.bin")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	block := make([]byte, 1<<20)
	noise(block)
	for at := int64(0); at < size; at += int64(len(block)) {
		block[at>>20&0xfffff]++
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	return f, path
}

// sha256sum times the command, 0 where there is none.
func sha256sum(b *testing.B, path string) time.Duration {
	b.Helper()
	start := time.Now()
	if err := exec.CommandContext(b.Context(), "sha256sum", path).Run(); err != nil {
		b.Logf("no sha256sum to compare with: %v", err)
		return 0
	}
	return time.Since(start)
}

func report(b *testing.B, took, reference time.Duration) {
	if reference > 0 {
		b.ReportMetric(reference.Seconds()*float64(b.N)/took.Seconds(), "x-sha256sum")
	}
}
