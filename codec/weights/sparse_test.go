package weights_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

// nudged returns n elements of a class of integers and what they become if a
// share of them moves by one.
func nudged(class codec.Class, n int, share float64) array {
	r := rand.New(rand.NewPCG(7, 8))
	a := array{sparse: true}
	w := class.Width()
	for range n {
		x := r.Uint64()
		y := x
		if r.Float64() < share {
			y += uint64(2*r.IntN(2) - 1)
		}
		a.old = binary.LittleEndian.AppendUint64(a.old, x)[:len(a.old)+w]
		a.next = binary.LittleEndian.AppendUint64(a.next, y)[:len(a.next)+w]
	}
	return a
}

// Changes anywhere cost what theory says that it takes to tell where they are,
// and a bit each for the way they go.
func TestGaps(t *testing.T) {
	const n = 1 << 20
	for _, class := range []codec.Class{codec.I16, codec.I32, codec.I64} {
		for _, share := range []float64{0.08, 0.03, 0.003, 0.0001} {
			a := nudged(class, n, share)
			changed := float64(weights.Changed(class, a.old, a.next))
			p := changed / n
			theory := (changed - n*(p*math.Log2(p)+(1-p)*math.Log2(1-p))) / 8
			got := float64(len(roundTrip(t, class, &a)))
			t.Logf("%s, %v: %.0f bytes, %.4f of theory", classNames[class], share, got, got/theory)
			if got > theory*1.01+50 {
				t.Errorf("%s, %v: %.0f bytes, %.0f in theory", classNames[class], share, got, theory)
			}
		}
	}
}

// Changes beside each other cost less than if they were anywhere: a bit for the
// way they go, about one more for where they are, in place of eight.
func TestGapsOfBursts(t *testing.T) {
	const n, burst = 1 << 20, 16
	a := nudged(codec.I32, n, 1)
	r := rand.New(rand.NewPCG(9, 10))
	for at := 0; at < n; at += burst {
		if r.IntN(100) > 0 {
			copy(a.next[at*4:(at+burst)*4], a.old[at*4:])
		}
	}
	changed := float64(weights.Changed(codec.I32, a.old, a.next))
	if got := float64(len(roundTrip(t, codec.I32, &a))); got > changed/8*2.5 {
		t.Errorf("%.0f bytes for %.0f changes", got, changed)
	}
}

// A sparse array may be of any length, changed at its very ends, everywhere or
// nowhere.
func TestSparseEnds(t *testing.T) {
	for _, n := range []int{0, 1, 7, 1<<20 - 1, 1 << 20, 1<<20 + 1, 2<<20 + 5} {
		for _, at := range [][]int{nil, {0}, {n - 1}, {0, n - 1}, {1<<20 - 1}, {1 << 20}} {
			a := array{cols: 1000, start: 999, old: make([]byte, n), next: make([]byte, n), sparse: true}
			for _, i := range at {
				if i >= 0 && i < n {
					a.next[i] = 1
				}
			}
			if got := len(roundTrip(t, codec.Int8, &a)); got > 40 {
				t.Errorf("%d elements, changed at %v: %d bytes", n, at, got)
			}
		}
	}
	a := nudged(codec.I16, 5000, 1)
	roundTrip(t, codec.I16, &a)
}

// A decoder fills as many elements as it is asked for, whatever it is fed with,
// and leaves bytes of no whole element alone.
func TestSparseDecodesAnything(t *testing.T) {
	s := source(5)
	for range 200 {
		coded := make([]byte, s.below(300))
		for i := range coded {
			coded[i] = byte(s.next() >> 56)
		}
		const n = 3000
		old, out := make([]byte, 4*n+3), make([]byte, 4*n+3)
		copy(out[4*n:], "end")
		m := weights.NewModel(codec.F32, true)
		m.Begin(weights.Params{Class: codec.F32, Based: true, Sparse: true, Top: 255, Level: s.below(260)}, 0)
		m.Code(mix.NewDecoder(coded), old, nil, out)
		if !bytes.HasSuffix(out, []byte("end")) {
			t.Fatal("more was filled than whole elements")
		}
	}
}

// Changed counts as one does by hand.
func TestChanged(t *testing.T) {
	for _, class := range allClasses {
		a := makeArray(class, kindSparse, 1000)
		want, w := 0, class.Width()
		for at := 0; at < len(a.old); at += w {
			if !bytes.Equal(a.old[at:at+w], a.next[at:at+w]) {
				want++
			}
		}
		if got := weights.Changed(class, a.old, a.next); got != want {
			t.Errorf("%s: %d, want %d", classNames[class], got, want)
		}
		if _, share := weights.MeasureSparse(class, 0, a.old, a.next); share != float64(want)/1000 {
			t.Errorf("%s: share %v of %d in 1000", classNames[class], share, want)
		}
	}
	if weights.Changed(codec.I64, nil, nil) != 0 {
		t.Error("of nothing, something differs")
	}
}
