package derive

import (
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Every binary16 is its value by definition, and comes back.
func TestEveryF16(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got := widenF16(h)
		sign, e, m := 1.0, int(h>>10&31), float64(h&0x3ff)
		if h>>15 == 1 {
			sign = -1
		}
		want := sign * math.Ldexp(1+m/1024, e-15)
		switch {
		case e == 0:
			want = sign * math.Ldexp(m, -24)
		case e == 31 && m == 0:
			want = math.Inf(int(sign))
		case e == 31:
			if got == got {
				t.Fatalf("%#04x is %v, not a NaN", h, got)
			}
			if back := narrowF16(math.Float32bits(got)); back != h|0x200 {
				t.Fatalf("NaN %#04x comes back as %#04x", h, back)
			}
			continue
		}
		if float64(got) != want || math.Signbit(float64(got)) != (h>>15 == 1) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
		if back := narrowF16(math.Float32bits(got)); back != h {
			t.Fatalf("%#04x comes back as %#04x", h, back)
		}
	}
}

// Between each two neighbouring binary16 the halfway point goes to the even
// one, and what is next to it to the nearer one.
func TestNarrowF16RoundsToNearestEven(t *testing.T) {
	for h := range uint16(0x7bff) {
		a, b := float64(widenF16(h)), float64(widenF16(h+1))
		middle := float32((a + b) / 2)
		even := h + h&1
		for _, c := range []struct {
			x    float32
			want uint16
		}{{middle, even}, {math.Nextafter32(middle, 0), h}, {math.Nextafter32(middle, math.MaxFloat32), h + 1}} {
			if got := narrowF16(math.Float32bits(c.x)); got != c.want {
				t.Fatalf("%v between %#04x and %#04x is %#04x, want %#04x", c.x, h, h+1, got, c.want)
			}
			if got := narrowF16(math.Float32bits(-c.x)); got != c.want|0x8000 {
				t.Fatalf("%v is %#04x", -c.x, got)
			}
		}
	}
	for x, want := range map[float32]uint16{65519.996: 0x7bff, 65520: 0x7c00, math.MaxFloat32: 0x7c00, 1e-10: 0} {
		if got := narrowF16(math.Float32bits(x)); got != want {
			t.Errorf("%v is %#04x, want %#04x", x, got, want)
		}
	}
}

func TestNarrowBF16(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.Uint32().Draw(t, "bits")
		x, got := math.Float32frombits(b), narrowBF16(b)
		y := math.Float32frombits(uint32(got) << 16)
		if x != x {
			if y == y {
				t.Fatalf("NaN %#08x became %v", b, y)
			}
			return
		}
		for _, other := range []uint16{uint16(b >> 16), uint16(b>>16) + 1} {
			z := float64(math.Float32frombits(uint32(other) << 16))
			distance, least := math.Abs(z-float64(x)), math.Abs(float64(y)-float64(x))
			if finite(z) && finite(float64(y)) && (distance < least || distance == least && other != got && got&1 == 1) {
				t.Fatalf("%v became %v, %v is nearer or even", x, y, z)
			}
		}
	})
}

// Conversions of rows equal Go's, but for NaN.
func TestCastsEqualGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.Uint64().Draw(t, "bits")
		x := math.Float64frombits(b)
		old, basis := binary.LittleEndian.AppendUint64(nil, b), make([]byte, 8)
		c := Conversion{Kind: Cast, From: codec.F64, To: codec.F32, Rows: 1, Cols: 1, Block: 1}
		c.Row(0, old, basis)
		got := math.Float32frombits(binary.LittleEndian.Uint32(basis))
		if want := float32(x); got != want && (got == got || want == want) {
			t.Fatalf("%v became %v, want %v", x, got, want)
		}
		c = Conversion{Kind: Cast, From: codec.F32, To: codec.F64, Rows: 1, Cols: 1, Block: 1}
		c.Row(0, old[:4], basis)
		wide, y := math.Float64frombits(binary.LittleEndian.Uint64(basis)), math.Float32frombits(uint32(b))
		if want := float64(y); wide != want && (wide == wide || want == want) {
			t.Fatalf("%v became %v, want %v", y, wide, want)
		}
	})
}

// Rest is the sign and size of what rounding took.
func TestRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e6, 1e6).Draw(t, "x")
		var rest [1]int8
		removed(codec.F32, []float64{x}, rest[:])
		f := float32(x)
		if math.Abs(float64(f)) < 1e-30 {
			return
		}
		up := float64(math.Nextafter32(f, math.MaxFloat32)) - float64(f)
		down := float64(f) - float64(math.Nextafter32(f, -math.MaxFloat32))
		want := (x - float64(f)) / max(up, down) * 256
		if math.Abs(math.Abs(want)-128) < 1 || math.Abs(math.Abs(want)-64) < 1 {
			return // half a step: which side it was rounded to is not told
		}
		if math.Abs(want-float64(rest[0])) > 1.01 && math.Abs(want*2-float64(rest[0])) > 2.01 {
			t.Fatalf("rest of %v is %d, want %.2f", x, rest[0], want)
		}
	})
}
