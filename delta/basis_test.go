package delta

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
)

// basisBytes reads the whole basis, in pieces of step bytes.
func basisBytes(t testing.TB, old []byte, class codec.Class, tr transform, list []*table, step int) []byte {
	t.Helper()
	r, err := newBasisReader(openView(t, old), 0, class, tr, list)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, tr.rows*tr.cols*tr.block*class.Width())
	for at := 0; at < len(out); at += step {
		rest, err := r.read(out[at:min(at+step, len(out))], int64(at))
		if err != nil {
			t.Fatal(err)
		}
		if n := min(step, len(out)-at) / class.Width(); rest != nil && len(rest) != n {
			t.Fatalf("what was rounded off %d of %d elements", len(rest), n)
		}
	}
	return out
}

// Each transform makes the basis that it names, from any byte on.
func TestBasis(t *testing.T) {
	const rows, cols = 128, 128
	conversion, wide, narrow := conversionTable(t, rows, cols)
	factors, before, after := factorsTable(t, rows, cols)
	turned, mixed := make([]byte, len(wide)), make([]byte, len(wide))
	order := identity(rows)
	order[3], order[5], order[0], order[127] = 5, 3, 127, 0
	for i := range rows {
		for j := range cols {
			copy(turned[4*(i*cols+j):][:4], wide[4*(j*cols+i):])
			copy(mixed[4*(i*cols+j):][:4], wide[4*(int(order[i])*cols+int(order[j])):])
		}
	}
	gains := make([]int16, rows)
	scaledBytes := bytes.Clone(wide)
	for i := range gains {
		gains[i] = int16(i * 10)
		for j := range cols {
			at := 4 * (i*cols + j)
			putF32(scaledBytes[at:], value(wide[at:], codec.F32)*(4096+float64(gains[i]))/4096)
		}
	}
	m := align.Matrix{Class: codec.F32, Rows: rows, Cols: cols, Block: 1}
	for _, c := range []struct {
		name      string
		old, want []byte
		class     codec.Class
		kind      transformKind
		table     *table
		second    int
	}{
		{"permuted", wide, mixed, codec.F32, permuted, &table{order: order}, 0},
		{"low rank", before, after, codec.F32, lowRank, factors, -1},
		{"converted", wide, narrow, codec.BF16, converted, conversion, -1},
		{"scaled", wide, scaledBytes, codec.F32, scaled, &table{gains: gains}, -1},
		{"transposed", wide, turned, codec.F32, transposed, nil, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := transformOf(c.kind, m, 0, c.second)
			for _, step := range []int{len(c.want), 4096, 40} {
				got := basisBytes(t, c.old, c.class, tr, []*table{c.table}, step)
				if c.kind == lowRank { // nearly: what the residual is for
					diff := make([]byte, len(got))
					if bits := distance(diff, c.want, got, c.class); bits > rows*cols/10 {
						t.Errorf("%d bits from the new matrix", bits)
					}
					continue
				}
				if !bytes.Equal(got, c.want) {
					t.Fatalf("%d bytes at a time: another basis", step)
				}
			}
			// Without its table, or with fewer old bytes than it takes, it is refused.
			if c.kind != transposed {
				if _, err := newBasisReader(openView(t, c.old), 0, c.class, tr, nil); !isDelta(err) {
					t.Errorf("no table: %v", err)
				}
			}
			if _, err := newBasisReader(openView(t, c.old), 1, c.class, tr, []*table{c.table}); !isDelta(err) {
				t.Errorf("past the end: %v", err)
			}
			r, err := newBasisReader(openView(t, c.old), 0, c.class, tr, []*table{c.table})
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []int64{-1, int64(len(c.want)), math.MaxInt64} {
				if _, err := r.read(make([]byte, 4), at); !isDelta(err) {
					t.Errorf("byte %d: %v", at, err)
				}
			}
		})
	}
}

// A reader of a basis takes no memory before it reads: a delta may name many.
func TestBasisIsLazy(t *testing.T) {
	old := openView(t, make([]byte, 4*maxRowElements))
	for _, kind := range []transformKind{permuted, transposed} {
		tr := transform{kind: kind, rows: 1, cols: maxRowElements, block: 1, first: -1, second: -1}
		if bytes := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := newBasisReader(old, 0, codec.F32, tr, nil); err != nil {
					b.Fatal(err)
				}
			}
		}).AllocedBytesPerOp(); bytes > 1024 {
			t.Errorf("%d bytes for a transform of kind %d", bytes, kind)
		}
	}
}

// Rows that were multiplied by factors are found to be.
func TestGains(t *testing.T) {
	const rows, cols = 64, 100
	old := weightBytes(1, rows*cols)
	matrix := func(b []byte, class codec.Class) align.Matrix {
		return align.Matrix{R: bytes.NewReader(b), Class: class, Rows: rows, Cols: cols, Block: 1}
	}
	next := bytes.Clone(old)
	want := make([]int16, rows)
	for i := range want {
		want[i] = int16(100 - 3*i)
		scaleRow(next[4*i*cols:][:4*cols], old[4*i*cols:][:4*cols], codec.F32, want[i])
		copy(next[4*i*cols:], []byte{0, 0, 0, 0}) // pruned: says nothing
	}
	got, err := findGains(t.Context(), matrix(old, codec.F32), matrix(next, codec.F32))
	if err != nil || len(got) != rows {
		t.Fatalf("%d factors: %v", len(got), err)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("row %d: %d, want %d", i, got[i], want[i])
		}
	}
	// Noise is no factor, and integers have none.
	for _, class := range []codec.Class{codec.F32, codec.I32, codec.F16} {
		other := weightBytes(2, rows*cols)
		if got, err := findGains(t.Context(), matrix(old, class), matrix(other, class)); err != nil || got != nil {
			t.Errorf("class %v: %v, %v", class, got, err)
		}
	}
}

// What scales leaves infinities and NaN as they are, and one is one.
func TestScaleRow(t *testing.T) {
	for _, class := range []codec.Class{codec.F32, codec.F64, codec.BF16} {
		width := class.Width()
		check(t, 60, func(t *rapid.T) {
			in := randomBytes(rapid.Uint64().Draw(t, "seed"), 64*width)
			out := make([]byte, len(in))
			scaleRow(out, in, class, 0)
			if !bytes.Equal(out, in) {
				t.Fatal("the factor 1 changes something")
			}
			gain := rapid.Int16().Draw(t, "gain")
			scaleRow(out, in, class, gain)
			for i := 0; i < len(in); i += width {
				x, y := value(in[i:], class), value(out[i:], class)
				if math.IsNaN(x) || math.IsInf(x, 0) {
					if !bytes.Equal(in[i:i+width], out[i:i+width]) {
						t.Fatalf("%v became %v", x, y)
					}
					continue
				}
				if want := x * factor(gain); !math.IsInf(y, 0) && math.Abs(y-want) > math.Abs(want)/256+1e-40 {
					t.Fatalf("%v times %v became %v", x, factor(gain), y)
				}
			}
		})
	}
}

// Differences go back to what they were made of.
func TestSubtract(t *testing.T) {
	check(t, 100, func(t *rapid.T) {
		width := rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "width")
		float := rapid.Bool().Draw(t, "float") && width > 1
		n := rapid.IntRange(0, 50).Draw(t, "n") * width
		a, b := randomBytes(rapid.Uint64().Draw(t, "a"), n), randomBytes(rapid.Uint64().Draw(t, "b"), n)
		diff := make([]byte, n)
		subtract(diff, a, b, width, float)
		add(diff, b, width, float)
		if !bytes.Equal(diff, a) {
			t.Fatal("other numbers came back")
		}
	})
	// Neighbours in the order of floats, across zero too, differ by little.
	bits := func(x float32) []byte { return binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)) }
	diff := make([]byte, 4)
	subtract(diff, bits(math.SmallestNonzeroFloat32), bits(-math.SmallestNonzeroFloat32), 4, true)
	if d := binary.LittleEndian.Uint32(diff); d > 8 {
		t.Errorf("the smallest numbers differ by %d", d)
	}
}
