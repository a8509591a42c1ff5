package align_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
)

// BenchmarkPermutations measures the megabytes of one release that are aligned
// a second: in place (the usual fine-tune), re-ordered to the bit, re-ordered
// and fine-tuned, and unrelated.
func BenchmarkPermutations(b *testing.B) {
	rnd := rand.New(rand.NewPCG(3, 4))
	net := mlp(rnd, 512, 2048, 2048, 2048, 512)
	other := mlp(rnd, 512, 2048, 2048, 2048, 512)
	still := make([][]int, len(net.units))
	retrained := net.update(rnd, codec.F32, 0, still)
	retrained.now = other.update(rnd, codec.F32, 0, still).now
	for _, c := range []struct {
		name string
		u    *update
	}{
		{"in place 1e-3", net.update(rnd, codec.F32, 1e-3, still)},
		{"reordered exact", net.reorder(rnd, codec.F32, 0)},
		{"reordered 1e-3", net.reorder(rnd, codec.F32, 1e-3)},
		{"reordered 1e-2", net.reorder(rnd, codec.F32, 1e-2)},
		{"unrelated", retrained.again()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.u.now)))
			b.ReportAllocs()
			for b.Loop() {
				perms, aligned, err := align.Permutations(b.Context(), c.u.pairs)
				if err != nil {
					b.Fatal(err)
				}
				if want := min(1, len(perms)) * 3; len(perms) != want {
					b.Fatalf("%d permutations: %v", len(perms), aligned)
				}
			}
		})
	}
}

// BenchmarkRealNetwork aligns 10.8 MB of a real network, re-ordered with noise.
func BenchmarkRealNetwork(b *testing.B) {
	net := ocr(b)
	for _, noise := range []float64{0, 1e-3} {
		u := net.reorder(rand.New(rand.NewPCG(5, 6)), codec.F32, noise)
		b.Run(fmt.Sprint(noise), func(b *testing.B) {
			b.SetBytes(int64(len(u.now)))
			for b.Loop() {
				if _, _, err := align.Permutations(b.Context(), u.pairs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
