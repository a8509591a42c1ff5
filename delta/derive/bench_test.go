package derive

import (
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// benchPair returns a matrix, an update of rank 8 and one of full rank.
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

func BenchmarkConversion(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 5))
	const size = 1024
	data := random(r, size*size)
	old, next := matrix(codec.F32, size, size, data), integers(codec.Int8, size, size, 1, quantizers[0].run(data, size, size))
	c, ok, err := FindConversion(b.Context(), old, next)
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	b.Run("find", func(b *testing.B) {
		b.SetBytes(4 * size * size)
		for b.Loop() {
			if _, _, err := FindConversion(b.Context(), old, next); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unrelated", func(b *testing.B) {
		other := integers(codec.Int8, size, size, 1, quantizers[0].run(random(r, size*size), size, size))
		b.SetBytes(4 * size * size)
		for b.Loop() {
			if _, ok, err := FindConversion(b.Context(), old, other); ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("row", func(b *testing.B) {
		row, basis := make([]byte, 4*size), make([]byte, size)
		if _, err := old.R.ReadAt(row, 0); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(4 * size)
		b.ReportAllocs()
		for b.Loop() {
			c.Row(3, row, basis)
		}
	})
}
