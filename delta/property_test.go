package delta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// drawFile draws a file of up to a few kB: nothing, noise, weights, or text with
// weights in it.
func drawFile(t *rapid.T, label string) []byte {
	n := rapid.IntRange(0, 3000).Draw(t, label+" size")
	seed := rapid.Uint64Range(1, 3).Draw(t, label+" seed")
	switch rapid.IntRange(0, 3).Draw(t, label+" kind") {
	case 0:
		return randomBytes(seed, n)
	case 1:
		return weightBytes(seed, n/4)
	case 2:
		return modelBytes(seed, n/4)
	}
	return rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, label)
}

// edit changes a file in a few places, as versions differ.
func edit(t *rapid.T, data []byte) []byte {
	out := bytes.Clone(data)
	for range rapid.IntRange(0, 4).Draw(t, "edits") {
		at := rapid.IntRange(0, len(out)).Draw(t, "at")
		to := min(at+rapid.IntRange(0, 400).Draw(t, "length"), len(out))
		other := randomBytes(rapid.Uint64().Draw(t, "seed"), to-at)
		switch rapid.IntRange(0, 4).Draw(t, "edit") {
		case 0: // insert
			out = append(out[:at:at], append(other, out[at:]...)...)
		case 1: // delete
			out = append(out[:at:at], out[to:]...)
		case 2: // replace
			copy(out[at:to], other)
		case 3: // move
			cut := bytes.Clone(out[at:to])
			out = append(append(cut, out[:at]...), out[to:]...)
		case 4: // append
			out = append(out, other...)
		}
	}
	return out
}

// Any two files make a delta that decodes to the new one, and the same one
// whatever the workers.
func TestAnyFiles(t *testing.T) {
	check(t, 60, func(rt *rapid.T) {
		old := drawFile(rt, "old")
		next := edit(rt, old)
		if rapid.IntRange(0, 3).Draw(rt, "other") == 0 {
			next = drawFile(rt, "new")
		}
		dtype := rapid.SampledFrom([]manifest.DType{"", "", "f32", "i16", "bf16", "i8"}).Draw(rt, "dtype")
		for _, effort := range efforts {
			data := encode(t, old, next, Options{Effort: effort, Workers: 1, DType: dtype})
			if again := encode(t, old, next, Options{Effort: effort, Workers: 2, DType: dtype}); !bytes.Equal(data, again) {
				rt.Fatal("two workers make another delta")
			}
			back, err := decode(t, old, data)
			if err != nil {
				rt.Fatal(err)
			}
			if !bytes.Equal(back, next) {
				rt.Fatal("decoded another file without an error")
			}
			// A few steps for what was edited, whose models start cold.
			if most := len(next) + len(next)/100 + 200; len(data) > most {
				rt.Fatalf("delta of %d bytes for a file of %d", len(data), len(next))
			}
		}
	})
}

// Deltas of several frames are the same whatever the workers.
func TestWorkers(t *testing.T) {
	old, next := modelBytes(1, 1<<20), modelBytes(2, 1<<20)
	data := encode(t, old, next, Options{Effort: codec.Fast, Workers: 1})
	for range 3 {
		if !bytes.Equal(data, encode(t, old, next, Options{Effort: codec.Fast, Workers: 2})) {
			t.Fatal("two workers make another delta")
		}
	}
	for _, workers := range []int{1, 2, 100} {
		var out bytes.Buffer
		if err := Decode(t.Context(), version(old), bytes.NewReader(data), &out, Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), next) {
			t.Fatal("decoded another file without an error")
		}
	}
}

// golden are sha256 sums of deltas, by effort.
var golden = map[codec.Effort]string{
	codec.Fast:   "1f2124e8036b17efa93832a49873292146ef0ef2ca22a563dad71d4edadb82d9",
	codec.Strong: "60dd1706dbd900f935acd8616bec981336c1404a60bbc4ca67062f50fad5cf86",
}

// The format is what it was. Whoever changes a coded bit raises [FormatVersion]
// and, only then, the sums.
func TestGolden(t *testing.T) {
	if FormatVersion != 2 {
		t.Fatal("the sums are those of format 2")
	}
	for _, effort := range efforts {
		data := encode(t, modelBytes(1, 5000), modelBytes(2, 5000), Options{Effort: effort})
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != golden[effort] {
			t.Errorf("effort %v: %d bytes, sha256 %s, want %s", effort, len(data), got, golden[effort])
		}
	}
}

// Frames never code more than decoders take, and the limit is in whole elements
// of every class.
func TestFrameLimit(t *testing.T) {
	for _, effort := range efforts {
		for frames := range int64(40) {
			for _, off := range []int64{-65, -64, -1, 0, 1, 63, 64, frameBytes / 2} {
				size := max(frames*frameBytes+off, 0)
				limit := frameLimit(size, effort)
				if limit < 64 || limit > frameBytes || limit%64 != 0 {
					t.Fatalf("frames of %d bytes for a view of %d", limit, size)
				}
			}
		}
	}
}
