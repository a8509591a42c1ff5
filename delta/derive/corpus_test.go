package derive

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
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

func TestLoRAOfRealModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	for _, c := range []struct {
		class codec.Class
	}{{codec.F32}} {
		var factors, rest, other, full float64
		for _, x := range recogniser(t) {
			rows, cols := x.rows(), x.cols()
			old := matrix(c.class, rows, cols, x.data)
			rounded := make([]byte, rowBytes(&old)*rows)
			old.R.ReadAt(rounded, 0)
			was := make([]float32, len(x.data))
			for i := range was {
				was[i] = math.Float32frombits(bits32(c.class, rounded, i))
			}
			data, _, _, _ := merged(r, was, rows, cols, 8, 0.01)
			next := matrix(c.class, rows, cols, data)
			f, ok, err := LowRank(t.Context(), old, next, 32)
			if err != nil {
				t.Fatal(err)
			}
			full += float64(len(rounded))
			u := update{old: &old, next: &next, rows: rows, cols: cols, class: c.class}
			if !ok {
				m := model{update: &u}
				direct, _ := m.directBits(t.Context(), 1)
				other += direct / 8
				t.Logf("%-20s %v: not of low rank, rank %d: %.0f bytes", x.name, x.shape, f.Rank, direct/8)
				continue
			}
			if g, err := ParseFactors(f.AppendBinary(nil), rows, cols); err != nil || !slices.Equal(g.U, f.U) || !slices.Equal(g.V, f.V) {
				t.Fatal(err)
			}
			bits, err := f.ResidualBits(t.Context(), old, next)
			if err != nil {
				t.Fatal(err)
			}
			n := len(f.AppendBinary(nil))
			if testing.Verbose() {
				t.Logf("%-20s %v rank %d: factors %d (%.0f; raw %d) residual %.0f (%.3f bits)", x.name, x.shape, f.Rank, n, f.bits()/8, 4*f.Rank*(rows+cols), bits/8, bits/float64(rows*cols))
			}
			factors += f.bits() / 8
			rest += bits / 8
		}
		t.Logf("class %d: full %.0f, factors %.0f + residual %.0f + others %.0f = %.0f", c.class, full, factors, rest, other, factors+rest+other)
	}
}
