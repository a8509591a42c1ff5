package derive

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
)

func drawFactors(t *rapid.T) Factors {
	f := Factors{
		Rank: rapid.IntRange(1, 6).Draw(t, "rank"), Rows: rapid.IntRange(1, 12).Draw(t, "rows"), Cols: rapid.IntRange(1, 12).Draw(t, "cols"),
		Scale: rapid.Float32Range(-4, 4).Draw(t, "scale"), Order: Order(rapid.IntRange(0, int(orders)-1).Draw(t, "order")),
	}
	number := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.Float32().Draw(t, "float")) }),
		rapid.Custom(func(t *rapid.T) float64 { return math.Ldexp(float64(rapid.IntRange(-1<<20, 1<<20).Draw(t, "q")), -9) }),
		rapid.Just(0.0),
	)
	f.U = rapid.SliceOfN(number, f.Rank*f.Rows, f.Rank*f.Rows).Draw(t, "u")
	f.V = rapid.SliceOfN(number, f.Rank*f.Cols, f.Rank*f.Cols).Draw(t, "v")
	return f
}

func TestFactorsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFactors(t)
		if err := f.Validate(); err != nil {
			t.Skip(err)
		}
		form := f.AppendBinary(nil)
		g, err := ParseFactors(form, f.Rows, f.Cols)
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.U {
			if math.Float64bits(f.U[i]) != math.Float64bits(g.U[i]) {
				t.Fatalf("U[%d] %v came back as %v", i, f.U[i], g.U[i])
			}
		}
		for i := range f.V {
			if math.Float64bits(f.V[i]) != math.Float64bits(g.V[i]) {
				t.Fatalf("V[%d] %v came back as %v", i, f.V[i], g.V[i])
			}
		}
		for _, bad := range [][]byte{form[:len(form)-1], append(bytes.Clone(form), 0), nil} {
			if _, err := ParseFactors(bad, f.Rows, f.Cols); !errors.Is(err, ErrFactors) {
				t.Fatalf("%d of %d bytes: %v", len(bad), len(form), err)
			}
		}
	})
}

// A row by the definition of its order, one element at a time.
func TestAddRowByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFactors(t)
		if f.Validate() != nil {
			t.Skip("not coded")
		}
		old := rapid.SliceOfN(rapid.Float32(), f.Cols, f.Cols).Draw(t, "old")
		row, basis := make([]byte, 4*f.Cols), make([]byte, 4*f.Cols)
		for j, x := range old {
			put32(codec.F32, row, j, math.Float32bits(x))
		}
		i := rapid.IntRange(0, f.Rows-1).Draw(t, "i")
		f.AddRow(i, codec.F32, row, basis)
		for j, w := range old {
			var sum float32
			exact := 0.0
			for k := range f.Rank {
				u, v := f.U[i*f.Rank+k], f.V[k*f.Cols+j]
				if f.Order == ScaledFloat32 || f.Order == ScaledFused {
					u = float64(float32(u) * f.Scale)
				}
				exact += float64(u * v)
				if f.Order == Float32 || f.Order == ScaledFloat32 {
					sum += float32(float32(u) * float32(v))
				} else {
					sum = float32(float64(sum) + float64(u*v))
				}
			}
			want := w
			switch f.Order {
			case Float64:
				want = float32(float64(w) + float64(exact*float64(f.Scale)))
			case Float32, Fused, Narrowed:
				want += float32(sum * f.Scale)
			default:
				want += sum
			}
			got := math.Float32frombits(bits32(codec.F32, basis, j))
			if finite(float64(want)) && got != want {
				t.Fatalf("order %d, element %d: %v, want %v", f.Order, j, got, want)
			}
		}
	})
}

func TestAddRowKeepsWhatIsNoNumber(t *testing.T) {
	f := Factors{Rank: 1, Rows: 1, Cols: 3, U: []float64{1}, V: []float64{1, 1, 1}, Scale: 1}
	for _, class := range []codec.Class{codec.F32, codec.F16, codec.BF16} {
		row := make([]byte, 3*class.Width())
		put32(class, row, 0, 0x7f800000)
		put32(class, row, 1, 0xffd23456)
		put32(class, row, 2, 0xff800000)
		basis := make([]byte, len(row))
		f.AddRowRest(0, class, row, basis, make([]int8, 3))
		if !bytes.Equal(row, basis) {
			t.Errorf("class %d: %x became %x", class, row, basis)
		}
	}
}

func TestRowsDoNotAllocate(t *testing.T) {
	f := Factors{Rank: 5, Rows: 1, Cols: 600, U: make([]float64, 5), V: make([]float64, 3000), Scale: 1}
	row, basis, rest := make([]byte, 2400), make([]byte, 2400), make([]int8, 600)
	c := Conversion{Kind: Quantize, From: codec.F32, To: codec.Int8, Rows: 1, Cols: 600, Block: 1, grid: grid{axis: byRange, low: -128, high: 127, levels: 255}}
	q8 := Conversion{Kind: Q8_0, From: codec.F32, To: codec.Other, Rows: 1, Cols: 576, Block: 1}
	if n := testing.AllocsPerRun(10, func() {
		f.AddRowRest(0, codec.F32, row, basis, rest)
		c.RowRest(0, row, basis, rest)
		q8.Row(0, row, basis)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseFactors(f *testing.F) {
	small := Factors{Rank: 2, Rows: 3, Cols: 4, U: []float64{1, 2, 3, 4, 5, 600}, V: []float64{0, 0, 0, 0, .5, 1e9, 0, 3}, Scale: 1}
	raw := Factors{Rank: 1, Rows: 3, Cols: 4, U: []float64{1, 1e-30, 3}, V: []float64{0, math.Copysign(0, -1), 1, 2}, Scale: 1, Order: Fused}
	f.Add(small.AppendBinary(nil), 3, 4)
	f.Add(raw.AppendBinary(nil), 3, 4)
	f.Fuzz(func(t *testing.T, b []byte, rows, cols int) {
		if rows > 1<<10 || cols > 1<<10 { // memory is bounded by the shape, which the caller knows
			return
		}
		g, err := ParseFactors(b, rows, cols)
		if err != nil {
			return
		}
		if form := g.AppendBinary(nil); !bytes.Equal(form, b) {
			t.Fatalf("%x is coded as %x", b, form)
		}
		row := make([]byte, 4*cols)
		g.AddRowRest(rows-1, codec.F32, row, row, make([]int8, cols))
	})
}
