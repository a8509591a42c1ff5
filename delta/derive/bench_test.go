package derive

import (
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// pairs returns an update of rank 8 and one of full rank.
func benchPair(size int) (old, low, full Matrix) {
	r := rand.New(rand.NewPCG(3, 5))
	data := make([]float32, size*size)
	noise := make([]float32, size*size)
	for i := range data {
		data[i] = float32(r.NormFloat64())
		noise[i] = data[i] + 0.01*float32(r.NormFloat64())
	}
	next, _, _, _ := merged(r, data, size, size, 8, 0.01)
	return matrix(codec.F32, size, size, data), matrix(codec.F32, size, size, next), matrix(codec.F32, size, size, noise)
}

func BenchmarkLowRank(b *testing.B) {
	old, low, full := benchPair(1024)
	for name, next := range map[string]Matrix{"rank8": low, "full": full} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(old.Rows * rowBytes(&old)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := LowRank(b.Context(), old, next, 64); err != nil || ok != (name == "rank8") {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkAddRow(b *testing.B) {
	old, next, _ := benchPair(1024)
	f, ok, err := LowRank(b.Context(), old, next, 64)
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	row, basis, rest := make([]byte, 4096), make([]byte, 4096), make([]int8, 1024)
	if _, err := old.R.ReadAt(row, 0); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		f.AddRowRest(5, codec.F32, row, basis, rest)
	}
}
