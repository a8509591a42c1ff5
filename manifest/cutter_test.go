package manifest_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// However a file is written, its chunks come out as the layout has them.
func TestCutter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(0, 400<<10).Draw(rt, "size")
		l := manifest.Layout{Schema: 1, Format: "bytes", Size: uint64(size), Chunk: manifest.MinChunkBytes}
		file := make([]byte, size)
		for i := range file {
			file[i] = byte(i * 7)
		}
		var out []byte
		chunks := l.Chunks()
		past := errors.New("past")
		c := &manifest.Cutter{Chunks: chunks, Past: past, Put: func(i int, data []byte) error {
			if offset, n := chunks.At(i); int(offset) != len(out) || n != len(data) {
				rt.Fatalf("chunk %d of %d bytes at %d, want %d at %d", i, len(data), len(out), n, offset)
			}
			out = append(out, data...)
			return nil
		}}
		for rest := file; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "write")
			if got, err := c.Write(rest[:n]); got != n || err != nil {
				rt.Fatal(got, err)
			}
			rest = rest[n:]
			if done, whole := c.Cut(); whole != (len(rest) == 0) || done > chunks.Len() {
				rt.Fatalf("%d chunks, whole %v, with %d bytes to come", done, whole, len(rest))
			}
		}
		if !bytes.Equal(out, file) {
			rt.Fatal("another file came out")
		}
		if _, err := c.Write([]byte{1}); !errors.Is(err, past) || !errors.Is(c.Err(), past) {
			rt.Fatalf("a byte too many: %v, %v", err, c.Err())
		}
	})
}

// The first error stays, and nothing is put after it.
func TestCutterFails(t *testing.T) {
	l := manifest.Layout{Schema: 1, Format: "bytes", Size: 3 * manifest.MinChunkBytes, Chunk: manifest.MinChunkBytes}
	broken, puts := errors.New("broken"), 0
	c := &manifest.Cutter{Chunks: l.Chunks(), Put: func(int, []byte) error { puts++; return broken }}
	for range 2 {
		if n, err := c.Write(make([]byte, 3*manifest.MinChunkBytes)); n != 0 || !errors.Is(err, broken) {
			t.Errorf("%d, %v", n, err)
		}
	}
	if puts != 1 {
		t.Errorf("put %d times", puts)
	}
}
