package weights

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"encoding/binary"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"math"
)

func noisy(n int) (old, next []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		w := r.NormFloat64() * 0.05
		old = binary.LittleEndian.AppendUint32(old, math.Float32bits(float32(w)))
		next = binary.LittleEndian.AppendUint32(next, math.Float32bits(float32(w+r.NormFloat64()*5e-5)))
	}
	return
}

func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec) + float64(r.Utime.Usec)/1e6
}

func BenchmarkF32(b *testing.B) {
	old, next := noisy(1 << 18)
	for name, basis := range map[string][]byte{"based": old, "alone": nil} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(next)))
			start, n := cpu(), 0
			for b.Loop() {
				n++
				m := NewModel(codec.F32, basis != nil)
				c := mix.NewEncoder(make([]byte, 0, len(next)))
				m.Begin(Measure(codec.F32, 512, basis, next), 0)
				m.Code(c, basis, nil, next)
				b.ReportMetric(float64(n*len(next))/1e6/(cpu()-start), "MB/cpu-s")
				b.ReportMetric(float64(c.Bytes())*8/float64(len(next)/4), "bits")
			}
		})
	}
}

func BenchmarkI16(b *testing.B) {
	old, _ := os.ReadFile("/work/shared/corpus/alexandria-1579k/04-2023-11-04/nn.net")
	next, _ := os.ReadFile("/work/shared/corpus/alexandria-1579k/05-2023-11-04/nn.net")
	for name, basis := range map[string][]byte{"based": old, "alone": nil} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(next)))
			start, n := cpu(), 0
			for b.Loop() {
				n++
				m := NewModel(codec.I16, basis != nil)
				c := mix.NewEncoder(make([]byte, 0, len(next)))
				m.Begin(Measure(codec.I16, 768, basis, next), 0)
				m.Code(c, basis, nil, next)
				b.ReportMetric(float64(n*len(next))/1e6/(cpu()-start), "MB/cpu-s")
			}
		})
	}
}
