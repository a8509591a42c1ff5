package derive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func TestLowRankFindsTheRank(t *testing.T) {
	for _, c := range []struct {
		class      codec.Class
		rows, cols int
		rank       int
		size       float64
	}{
		{codec.F32, 100, 300, 1, 0.01},
		{codec.F32, 300, 100, 4, 0.001},
		{codec.F32, 256, 256, 16, 0.3},
		{codec.F32, 400, 200, 64, 0.01},
		{codec.F16, 256, 256, 8, 0.01},
		{codec.BF16, 512, 512, 4, 0.05},
	} {
		r := rand.New(rand.NewPCG(uint64(c.rank), 1))
		data := random(r, c.rows*c.cols)
		for i, x := range data { // what the class holds
			b := make([]byte, 4)
			put32(c.class, b, 0, math.Float32bits(x))
			data[i] = math.Float32frombits(bits32(c.class, b, 0))
		}
		next, _, _, _ := merged(r, data, c.rows, c.cols, c.rank, c.size)
		old, now := matrix(c.class, c.rows, c.cols, data), matrix(c.class, c.rows, c.cols, next)
		f, ok, err := LowRank(t.Context(), old, now, 64)
		if err != nil || !ok || f.Rank != c.rank {
			t.Errorf("%+v: found %v, rank %d, %v", c, ok, f.Rank, err)
			continue
		}
		bits, err := f.ResidualBits(t.Context(), old, now)
		if err != nil {
			t.Fatal(err)
		}
		// Of an update that is nearly as large as the weights, the publisher's
		// own rounding is some units.
		if each := bits / float64(c.rows*c.cols); each > 1+6*c.size {
			t.Errorf("%+v: %.2f bits an element remain", c, each)
		}
		if g, ok, err := LowRank(t.Context(), old, now, 64); !ok || err != nil || !slices.Equal(f.AppendBinary(nil), g.AppendBinary(nil)) {
			t.Errorf("%+v: found something else the second time", c)
		}
	}
}

func TestLowRankSaysNo(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	data := random(r, 200*200)
	noisy := slices.Clone(data)
	for i := range noisy {
		noisy[i] += 0.01 * float32(r.NormFloat64())
	}
	rank20, _, _, _ := merged(r, data, 200, 200, 20, 0.01)
	odd := slices.Clone(data)
	for i := range odd {
		odd[i] = math.Float32frombits(r.Uint32())
	}
	nan := slices.Repeat([]float32{float32(math.NaN())}, len(data))
	old := matrix(codec.F32, 200, 200, data)
	for name, next := range map[string]Matrix{
		"full rank":      matrix(codec.F32, 200, 200, noisy),
		"equal":          old,
		"too high":       matrix(codec.F32, 200, 200, rank20),
		"any bits":       matrix(codec.F32, 200, 200, odd),
		"only NaN":       matrix(codec.F32, 200, 200, nan),
		"another shape":  matrix(codec.F32, 100, 400, data),
		"another class":  matrix(codec.F16, 200, 200, data),
		"unrelated":      matrix(codec.F32, 200, 200, random(r, len(data))),
		"no shape":       {R: old.R, Class: codec.F32},
		"negative shape": {R: old.R, Class: codec.F32, Rows: -1, Cols: 200, Block: 1},
	} {
		if _, ok, err := LowRank(t.Context(), old, next, 16); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	short := old
	short.R = bytes.NewReader(make([]byte, 100))
	if _, _, err := LowRank(t.Context(), old, short, 16); !errors.Is(err, io.EOF) {
		t.Errorf("short file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := LowRank(ctx, old, matrix(codec.F32, 200, 200, rank20), 32); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Numbers that are none, in any place, neither stop the search nor spoil what
// is found.
func TestLowRankWithStrangers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	data := random(r, 64*64)
	next, _, _, _ := merged(r, data, 64, 64, 2, 0.01)
	strangers := []uint32{0x7fc00000, 0xffffffff, 0x7f800000, 0xff800000, 1, 0x80000001, 0x7f7fffff, 0xff7fffff, 0x80000000}
	for _, b := range strangers {
		for _, side := range [][]float32{data, next} {
			at := r.IntN(len(side))
			was := side[at]
			side[at] = math.Float32frombits(b)
			old, now := matrix(codec.F32, 64, 64, data), matrix(codec.F32, 64, 64, next)
			f, ok, err := LowRank(t.Context(), old, now, 32)
			if err != nil {
				t.Fatal(err)
			}
			if bits, err := f.ResidualBits(t.Context(), old, now); ok && (err != nil || bits > 5*64*64) {
				t.Errorf("%#08x at %d: %.0f bits remain, %v", b, at, bits, err)
			}
			side[at] = was
		}
	}
}

// Published factors reproduce the publisher's bits, in the order of its tool.
func TestFactorsFromAdapter(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const rows, cols, rank = 120, 200, 8
	data := random(r, rows*cols)
	next, b, a, scale := merged(r, data, rows, cols, rank, 0.02)
	f, err := FactorsFrom(t.Context(), matrix(codec.F32, rows, rank, b), matrix(codec.F32, rank, cols, a), scale)
	if err != nil {
		t.Fatal(err)
	}
	old, now := matrix(codec.F32, rows, cols, data), matrix(codec.F32, rows, cols, next)
	f, bits, err := f.BestOrder(t.Context(), old, now)
	if err != nil || f.Order != Float32 || bits > 64 {
		t.Errorf("order %d leaves %.0f bits, %v", f.Order, bits, err)
	}
	g, err := ParseFactors(f.AppendBinary(nil), rows, cols)
	if err != nil || g.Order != f.Order || g.Scale != f.Scale || !slices.Equal(f.U, g.U) || !slices.Equal(f.V, g.V) {
		t.Errorf("binary form gives other factors, %v", err)
	}
	// Numbers of 16 bits stay short: bytes of zeros are nothing to a coder.
	half, err := FactorsFrom(t.Context(), matrix(codec.BF16, rows, rank, b), matrix(codec.BF16, rank, cols, a), scale)
	if err != nil || half.bits() > 12*rank*(rows+cols) {
		t.Errorf("bf16 factors take %.0f bits, %v", half.bits(), err)
	}
	for name, m := range map[string][2]Matrix{
		"ranks differ": {matrix(codec.F32, rows, rank, b), matrix(codec.F32, rank/2, cols*2, a)},
		"integers":     {matrix(codec.F32, rows, rank, b), {R: bytes.NewReader(nil), Class: codec.Int8, Rows: rank, Cols: cols, Block: 1}},
	} {
		if _, err := FactorsFrom(t.Context(), m[0], m[1], 1); !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a[3] = float32(math.Inf(1))
	if _, err := FactorsFrom(t.Context(), matrix(codec.F32, rows, rank, b), matrix(codec.F32, rank, cols, a), 1); !errors.Is(err, ErrFactors) {
		t.Errorf("infinite factor: %v", err)
	}
}
