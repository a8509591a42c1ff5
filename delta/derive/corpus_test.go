package derive

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

// tensor is an f32 tensor of a real model.
type tensor struct {
	name  string
	shape []uint64
	data  []float32
}

func (t *tensor) rows() int { return int(t.shape[0]) }
func (t *tensor) cols() int { return len(t.data) / t.rows() }

// recogniser returns the f32 tensors of PP-OCRv4's recogniser, at least 1 KiB
// long, of two dimensions or more.
func recogniser(tb testing.TB) []tensor {
	tb.Helper()
	const name = "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx"
	file, err := os.ReadFile(corpus.File(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	l, err := chunker.Layout(tb.Context(), bytes.NewReader(file), int64(len(file)), name, chunker.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var all []tensor
	for _, x := range l.Tensors {
		if x.DType != "f32" || len(x.Shape) < 2 || x.Length < 1024 {
			continue
		}
		t := tensor{name: x.Name, shape: x.Shape, data: make([]float32, x.Length/4)}
		if _, err := binary.Decode(file[x.Offset:x.Offset+x.Length], binary.LittleEndian, t.data); err != nil {
			tb.Fatal(err)
		}
		all = append(all, t)
	}
	return all
}

// matrix puts float32 numbers, rounded to the class, into memory.
func matrix(class codec.Class, rows, cols int, data []float32) Matrix {
	b := make([]byte, len(data)*class.Width())
	for i, x := range data {
		switch class {
		case codec.F64:
			binary.LittleEndian.PutUint64(b[8*i:], widenF32(math.Float32bits(x)))
		default:
			put32(class, b, i, math.Float32bits(x))
		}
	}
	return Matrix{R: bytes.NewReader(b), Class: class, Rows: rows, Cols: cols, Block: 1}
}

func rms(data []float32) float64 {
	sum := 0.0
	for _, x := range data {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum / float64(len(data)))
}

// merged adds a random update of a rank, of the given size relative to the
// tensor's rms, as a publisher does in float32.
func merged(r *rand.Rand, data []float32, rows, cols, rank int, size float64) (next, b, a []float32, scale float32) {
	b, a = make([]float32, rows*rank), make([]float32, rank*cols)
	for i := range b {
		b[i] = float32(r.NormFloat64())
	}
	for i := range a {
		a[i] = float32(r.NormFloat64())
	}
	d := make([]float32, len(data))
	for i := range rows {
		for k := range rank {
			x := b[i*rank+k]
			for j := range cols {
				d[i*cols+j] += float32(x * a[k*cols+j])
			}
		}
	}
	scale = float32(size * rms(data) / rms(d))
	next = make([]float32, len(data))
	for i := range d {
		next[i] = data[i] + float32(scale*d[i])
	}
	return next, b, a, scale
}

// The class "LoRA r=8 merged, 1 %" of the corpus: factors with what remains, and
// what is left to other means, take under 8 % of the file's 10822 kB (f32), and
// a like share of its halves.
func TestLoRAOfRealModel(t *testing.T) {
	for _, c := range []struct {
		name  string
		class codec.Class
		most  float64 // bytes
	}{{"f32", codec.F32, 760e3}, {"f16", codec.F16, 450e3}, {"bf16", codec.BF16, 480e3}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 8))
			var factors, rest, other float64
			for _, x := range recogniser(t) {
				if c.class != codec.F32 && testing.Short() {
					t.Skip("f32 is enough for a short test")
				}
				rows, cols := x.rows(), x.cols()
				held := make([]float32, len(x.data)) // what the class holds
				for i, y := range x.data {
					var b [4]byte
					put32(c.class, b[:], 0, math.Float32bits(y))
					held[i] = math.Float32frombits(bits32(c.class, b[:], 0))
				}
				data, _, _, _ := merged(r, held, rows, cols, 8, 0.01)
				old, next := matrix(c.class, rows, cols, held), matrix(c.class, rows, cols, data)
				f, ok, err := LowRank(t.Context(), old, next, 32)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					m := model{update: &update{old: &old, next: &next, rows: rows, cols: cols, class: c.class}}
					direct, err := m.directBits(t.Context(), 1)
					if err != nil {
						t.Fatal(err)
					}
					other += direct / 8
					continue
				}
				if f, err = ParseFactors(f.AppendBinary(nil), rows, cols); err != nil {
					t.Fatal(err)
				}
				bits, err := f.ResidualBits(t.Context(), old, next)
				if err != nil {
					t.Fatal(err)
				}
				factors += f.bits() / 8
				rest += bits / 8
			}
			t.Logf("factors %.0f + residual %.0f + others %.0f = %.0f bytes", factors, rest, other, factors+rest+other)
			if factors+rest+other > c.most {
				t.Errorf("want %.0f bytes at most", c.most)
			}
		})
	}
}
