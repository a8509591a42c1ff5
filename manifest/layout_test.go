package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const chunk = manifest.MinChunkBytes

func tensors(lengths ...uint64) (out []manifest.Tensor, end uint64) {
	for i, n := range lengths {
		end += 40 // what an ONNX file has between two tensors
		out = append(out, manifest.Tensor{Name: fmt.Sprint("t", i), DType: "u8", Shape: []uint64{n}, Offset: end, Length: n})
		end += n
	}
	return out, end
}

func TestChunksBeginAtLargeTensors(t *testing.T) {
	list, end := tensors(chunk, 10, 20, 5*chunk, 3*chunk)
	l := manifest.Layout{Schema: 1, Format: "onnx", Size: end + 100, Tensors: list, Chunk: chunk}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	begins := map[uint64]bool{}
	chunks := l.Chunks()
	for i := range chunks.Len() {
		offset, length := chunks.At(i)
		begins[offset] = true
		if chunks.Find(offset) != i || chunks.Find(offset+uint64(length)-1) != i {
			t.Errorf("Find does not find chunk %d", i)
		}
	}
	for _, tensor := range list {
		if tensor.Length >= chunk != begins[tensor.Offset] {
			t.Errorf("tensor %s of %d bytes: begins a chunk: %v", tensor.Name, tensor.Length, begins[tensor.Offset])
		}
	}
}

func TestChunksCoverTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.Uint64Range(1, 8*chunk), 0, 40).Draw(t, "lengths")
		list, end := tensors(lengths...)
		l := manifest.Layout{Schema: 1, Format: "onnx", Size: end + rapid.Uint64Range(0, 4*chunk).Draw(t, "tail"), Tensors: list, Chunk: chunk}
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		chunks := l.Chunks()
		var at uint64
		for i := range chunks.Len() {
			offset, length := chunks.At(i)
			if offset != at || length <= 0 || length >= 2*chunk+chunk/4 {
				t.Fatalf("chunk %d lies at %d+%d, expected at %d", i, offset, length, at)
			}
			at += uint64(length)
		}
		first := uint64(0) // a file's first segment may be shorter than a chunk
		if len(list) > 0 {
			first = chunk
		}
		if uint64(chunks.Len()*32)*2000 > l.Size+first+32*2000 {
			t.Fatalf("%d digests for %d bytes: more than 0.05 %%", chunks.Len(), l.Size)
		}
		if at != l.Size {
			t.Fatalf("chunks end at %d of %d", at, l.Size)
		}
		if total := chunks.Bytes(manifest.NewRanges(0, chunks.Len())); total != l.Size {
			t.Fatalf("Bytes of all chunks is %d, want %d", total, l.Size)
		}
	})
}

func TestLayoutRefused(t *testing.T) {
	good := func() *manifest.Layout {
		list, end := tensors(100, 200)
		return &manifest.Layout{Schema: 1, Format: "onnx", Size: end, Tensors: list, Chunk: chunk}
	}
	tests := []struct {
		name string
		edit func(*manifest.Layout)
		want string
	}{
		{"overlap", func(l *manifest.Layout) { l.Tensors[1].Offset = l.Tensors[0].Offset }, "overlap"},
		{"past the end", func(l *manifest.Layout) { l.Size-- }, "leave the file"},
		{"offset wraps", func(l *manifest.Layout) { l.Tensors[1].Offset = 1<<64 - 100 }, "leave the file"},
		{"shape lies", func(l *manifest.Layout) { l.Tensors[1].Shape = []uint64{201} }, "for shape"},
		{"shape overflows", func(l *manifest.Layout) { l.Tensors[1].Shape = []uint64{1 << 32, 1 << 32} }, "more elements"},
		{"rank", func(l *manifest.Layout) { l.Tensors[1].Shape = make([]uint64, 17) }, "rank"},
		{"long name", func(l *manifest.Layout) { l.Tensors[1].Name = strings.Repeat("x", 513) }, "name of 513"},
		{"odd chunk", func(l *manifest.Layout) { l.Chunk = chunk + 1 }, "power of two"},
		{"tiny chunk", func(l *manifest.Layout) { l.Chunk = 1 }, "power of two"},
		{"cuts", func(l *manifest.Layout) { l.Cuts = []uint32{uint32(l.Size) + 1} }, "sum up"},
		{"short cut", func(l *manifest.Layout) { l.Cuts = []uint32{uint32(l.Size) - 1, 1} }, "cut 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := good()
			tt.edit(l)
			if _, err := manifest.Encode(l); !errors.Is(err, manifest.ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrFormat with %q", err, tt.want)
			}
		})
	}
}

func digests(n int) []manifest.Digest {
	out := make([]manifest.Digest, n)
	for i := range out {
		out[i] = manifest.SumDigest([]byte(fmt.Sprint(i)))
	}
	return out
}

func TestDigestTree(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 4096, 4097, 5000} {
		want := digests(n)
		root, blocks, err := manifest.BuildDigests(want)
		if err != nil {
			t.Fatal(err)
		}
		held := map[manifest.CID][]byte{}
		for _, b := range blocks {
			held[b.CID] = b.Data
		}
		got, err := manifest.LoadDigests(root, n, func(c manifest.CID) ([]byte, error) {
			return held[c], c.Verify(held[c])
		})
		if err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d digests come back changed", n)
		}
		if _, err := manifest.LoadDigests(root, n+1, func(c manifest.CID) ([]byte, error) { return held[c], nil }); !errors.Is(err, manifest.ErrFormat) {
			t.Errorf("%d digests read as %d: %v, want ErrFormat", n, n+1, err)
		}
	}
}

// One changed chunk of a file of 4,096 chunks costs one leaf and the root.
func TestDigestTreeChangesLittle(t *testing.T) {
	before := digests(4096)
	_, old, err := manifest.BuildDigests(before)
	if err != nil {
		t.Fatal(err)
	}
	before[1234] = manifest.Digest{}
	_, changed, err := manifest.BuildDigests(before)
	if err != nil {
		t.Fatal(err)
	}
	held := map[manifest.CID]bool{}
	for _, b := range old {
		held[b.CID] = true
	}
	bytesNew, blocksNew := 0, 0
	for _, b := range changed {
		if !held[b.CID] {
			bytesNew += len(b.Data)
			blocksNew++
		}
	}
	if blocksNew != 2 || bytesNew > 5000 {
		t.Errorf("%d blocks of %d bytes in sum are new, want 2 of under 5000", blocksNew, bytesNew)
	}
}

func set(r manifest.Ranges) map[int]bool {
	m := map[int]bool{}
	for i := range r.All() {
		m[i] = true
	}
	return m
}

func TestRangesAreSets(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) manifest.Ranges {
		var r manifest.Ranges
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 60), 0, 40).Draw(t, "members") {
			r = r.Add(i)
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		inA, inB := set(a), set(b)
		for name, r := range map[string]manifest.Ranges{"union": a.Union(b), "minus": a.Minus(b), "intersect": a.Intersect(b)} {
			if err := r.Validate(); err != nil {
				t.Fatalf("%s of %s and %s: %v", name, a, b, err)
			}
			count := 0
			for i := range 70 {
				want := map[string]bool{"union": inA[i] || inB[i], "minus": inA[i] && !inB[i], "intersect": inA[i] && inB[i]}[name]
				if r.Contains(i) != want {
					t.Fatalf("%s of %s and %s is %s: chunk %d wrong", name, a, b, r, i)
				}
				if want {
					count++
				}
			}
			if r.Count() != count {
				t.Fatalf("%s counts %d, has %d", r, r.Count(), count)
			}
		}
	})
}

func TestRangesText(t *testing.T) {
	r := manifest.NewRanges(0, 4).Add(7)
	if r.String() != "0-3,7" || r.End() != 8 || !bytes.Equal([]byte(manifest.Ranges(nil).String()), nil) {
		t.Errorf("%s ends at %d", r, r.End())
	}
}
