package sections_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/sections"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// tiled is a file of any size: header, then f32 and int16 weights over and over,
// the first until cut. It counts what is read.
type tiled struct {
	header, first, second []byte
	cut, size             int64
	read                  int64
}

func (f *tiled) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) && off < f.size {
		from, at, end := f.second, off-f.cut, f.size
		switch {
		case off < int64(len(f.header)):
			from, at, end = f.header, off, int64(len(f.header))
		case off < f.cut:
			from, at, end = f.first, off-int64(len(f.header)), f.cut
		}
		at %= int64(len(from))
		m := copy(p[n:n+int(min(int64(len(p)-n), end-off))], from[at:])
		n, off = n+m, off+int64(m)
	}
	f.read += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func newTiled(size int64) *tiled {
	header := []byte("HEADER!")
	first, second := encode(normal(1, 1<<16, 768), codec.F32, 1), encode(normal(2, 1<<16, 320), codec.I16, 300)
	return &tiled{header: header, first: first, second: second, size: size, cut: int64(len(header)) + size/12*8}
}

func TestFindSamplesLargeRanges(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: arithmetic in one goroutine, too slow under the race detector")
	}
	f := newTiled(1<<30 + 3)
	found, err := sections.Find(t.Context(), f, 0, f.size)
	if err != nil {
		t.Fatal(err)
	}
	covers(t, found, 0, f.size)
	if len(found) > 6 || found[0].Class != codec.Other || found[0].Length != 7 || found[1].Class != codec.F32 {
		t.Fatalf("found %v", found)
	}
	if end := found[1].Offset + found[1].Length; end < f.cut-16 || end > f.cut+16 {
		t.Errorf("f32 end at %d, want %d", end, f.cut)
	}
	if f.read > f.size/10 {
		t.Errorf("read %d of %d bytes", f.read, f.size)
	}
}

func BenchmarkFind(b *testing.B) {
	for _, name := range []string{
		"berserk-3152k/01-2022-02-07/default.nn", "alexandria-1579k/04-2023-11-04/nn.net", "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx",
	} {
		b.Run(name, func(b *testing.B) {
			corpus.Dir(b)
			data := load(b, name)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sections.Find(b.Context(), bytes.NewReader(data), 0, int64(len(data))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("1GiB", func(b *testing.B) {
		f := newTiled(1 << 30)
		b.SetBytes(f.size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sections.Find(b.Context(), f, 0, f.size); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCols(b *testing.B) {
	f := newTiled(1 << 30)
	b.SetBytes(f.cut - 7)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sections.Cols(b.Context(), f, 7, f.cut-7, codec.F32); err != nil {
			b.Fatal(err)
		}
	}
}
