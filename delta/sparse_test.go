package delta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// nudged returns n weights of a class, f32 or int8, and what they become if one
// in so many moves a little.
func nudged(class codec.Class, n, in int) (old, next []byte) {
	r := rand.New(rand.NewPCG(3, 4))
	if class == codec.F32 {
		old, next = weightBytes(1, n), weightBytes(2, n)
	} else {
		for range n {
			w := r.IntN(40) + r.IntN(40) + r.IntN(40)
			old, next = append(old, byte(w-60)), append(next, byte(w-61+2*r.IntN(2)))
		}
	}
	w := class.Width()
	for at := 0; at < len(old); at += w {
		if r.IntN(in) > 0 {
			copy(next[at:at+w], old[at:])
		}
	}
	return old, next
}

// codeStep codes next against old as one step of a frame, whose payload and kind
// it returns.
func codeStep(t testing.TB, class codec.Class, old, next []byte) ([]byte, opKind) {
	t.Helper()
	e := &encoder{opt: Options{Effort: codec.Strong}, old: openView(t, old)}
	f := newFrameCoder(e.old, nil, mix.NewEncoder(nil), &e.planes)
	p := piece{size: int64(len(next)), region: &region{class: class}}
	kind, err := e.piece(t.Context(), f, &p, next)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := f.finish()
	if err != nil {
		t.Fatal(err)
	}
	return payload, kind
}

// goldenSparse are sha256 sums of frames of sparse arrays; see golden.
var goldenSparse = map[codec.Class]string{
	codec.F32:  "e7ba9b21d47991098ff9526a74a64af85eeea7664c7f6bba387564bb1b088a99",
	codec.Int8: "497562c0162aad1006847d8db3832148fce2dcac5a06a24d9a7c2d763c52dff2",
}

// Where few weights moved, anywhere, the gaps between them are coded; the bytes
// are pinned.
func TestSparse(t *testing.T) {
	for _, class := range []codec.Class{codec.F32, codec.Int8} {
		old, next := nudged(class, 300_000, 50)
		payload, kind := codeStep(t, class, old, next)
		if kind != opSparse {
			t.Errorf("class %d: a step of kind %d", class, kind)
		}
		segments, err := decodeFrame(t.Context(), openView(t, old), nil, payload, int64(len(next)), new(codec.Coder))
		if err != nil || len(segments) != 1 || !bytes.Equal(segments[0].data, next) {
			t.Errorf("class %d does not come back: %v", class, err)
		}
		sum := sha256.Sum256(payload)
		if got := hex.EncodeToString(sum[:]); got != goldenSparse[class] {
			t.Errorf("class %d: %d bytes, sha256 %s, want %s", class, len(payload), got, goldenSparse[class])
		}
	}
}

// Where many moved, or little ones, or those that context tells, all elements
// are mixed.
func TestNotSparse(t *testing.T) {
	many := func() (old, next []byte) { return nudged(codec.Int8, 100_000, 8) }
	little := func() (old, next []byte) { return nudged(codec.Int8, sparseLeast-1, 50) }
	told := func() (old, next []byte) {
		old, _ = nudged(codec.Int8, 100_000, 50)
		return old, bytes.ReplaceAll(old, []byte{9}, []byte{10})
	}
	elsewhere := func() (old, next []byte) { // not where the sample is
		old, next = nudged(codec.Int8, 1_000_000, 50)
		other, _ := nudged(codec.Int8, 1_000_000, 2)
		copy(next[600_000:], other)
		return old, next
	}
	for name, pair := range map[string]func() (old, next []byte){"many": many, "little": little, "told": told, "elsewhere": elsewhere} {
		old, next := pair()
		if payload, kind := codeStep(t, codec.Int8, old, next); kind != opArray {
			t.Errorf("%s: %d bytes in a step of kind %d", name, len(payload), kind)
		}
	}
}

// A delta of a model of which few weights moved is a few bytes above what theory
// says, and goes back and forth.
func TestSparseDelta(t *testing.T) {
	old, next := nudged(codec.Int8, 3<<20, 33)
	report := roundTrip(t, version(old), version(next), Options{Effort: codec.Strong, DType: "i8"})
	// -log2 of 1/33 and of 32/33, and a bit for the way.
	theory := (3 << 20) * (1.0/33*(5.044+1) + 32.0/33*0.0444) / 8
	if got := float64(report.DeltaBytes); got > theory*1.01 {
		t.Errorf("%.0f bytes, %.0f in theory", got, theory)
	}
}

// Whatever a frame holds, it decodes to no more than the new file, or to an error
// that says that it is wrong.
func FuzzSparse(f *testing.F) {
	old, next := nudged(codec.Int8, 2*sparseLeast, 50)
	payload, _ := codeStep(f, codec.Int8, old, next)
	f.Add(payload)
	old32, next32 := nudged(codec.F32, 2*sparseLeast, 50)
	payload, _ = codeStep(f, codec.F32, old32, next32)
	f.Add(payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		segments, err := decodeFrame(t.Context(), openView(t, old32), nil, payload, int64(len(next32)), new(codec.Coder))
		if err != nil && !errors.Is(err, ErrDelta) {
			t.Fatal(err)
		}
		size := 0
		for _, s := range segments {
			size += max(len(s.data), int(s.size))
		}
		if size > len(next32) {
			t.Fatalf("%d bytes of %d", size, len(next32))
		}
	})
}
