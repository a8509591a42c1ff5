package weights_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// rounding says how a class rounds numbers: to which, with which bits, and how
// far it is to the next.
type rounding func(x float64) (rounded float64, bits uint64, step float64)

func asFloat64(x float64) (float64, uint64, float64) {
	return x, math.Float64bits(x), math.Nextafter(math.Abs(x), math.Inf(1)) - math.Abs(x)
}

func asFloat32(x float64) (float64, uint64, float64) {
	y := float32(x)
	up := math.Nextafter32(max(y, -y), math.MaxFloat32)
	return float64(y), uint64(math.Float32bits(y)), float64(up - max(y, -y))
}

func asBFloat16(x float64) (float64, uint64, float64) {
	b := (math.Float32bits(float32(x)) + 1<<15) >> 16
	y := math.Float32frombits(b << 16)
	return float64(y), uint64(b), math.Abs(float64(math.Float32frombits((b+1)<<16)) - float64(y))
}

// steps rounds to multiples of 1/n.
func steps(n float64) rounding {
	return func(x float64) (float64, uint64, float64) {
		return math.Round(x*n) / n, uint64(int64(math.Round(x * n))), 1 / n
	}
}

// information is how many bits tell which number of a class a normally
// distributed one is rounded to: that with its step, around a middle.
func information(rounded, step, middle, deviation float64) float64 {
	z := (rounded - middle) / deviation
	if step < deviation/1000 {
		return z*z/2*math.Log2E + math.Log2(deviation/step*math.Sqrt(2*math.Pi))
	}
	d := step / deviation / 2
	return -math.Log2((math.Erf((z+d)/math.Sqrt2) - math.Erf((z-d)/math.Sqrt2)) / 2)
}

// Weights that are normally distributed, and their changes
// take what theory says and little more.
func TestGaussian(t *testing.T) {
	const n = 1 << 17
	for _, c := range []struct {
		name            string
		class           codec.Class
		round           rounding
		change          float64 // its standard deviation, that of the weights being 0.05
		overAlone, over float64 // how much of theory is allowed
	}{
		{"f32, training goes on", codec.F32, asFloat32, 5e-5, 1.01, 1.01},
		{"f32, large changes", codec.F32, asFloat32, 1e-2, 1.01, 1.02},
		{"f64", codec.F64, asFloat64, 5e-5, 1.01, 1.01},
		{"bf16", codec.BF16, asBFloat16, 2e-4, 1.01, 1.05},
		{"i8", codec.Int8, steps(400), 5e-4, 1.01, 1.06},
		{"i16", codec.I16, steps(1e5), 2e-4, 1.01, 1.01},
		{"i32", codec.I32, steps(1e8), 2e-4, 1.01, 1.01},
		{"i64", codec.I64, steps(1e15), 2e-4, 1.01, 1.01},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var old, next []byte
			var alone, based float64
			w := c.class.Width()
			add := func(to *[]byte, b uint64) { *to = binary.LittleEndian.AppendUint64(*to, b)[:len(*to)+w] }
			for range n {
				x, b, _ := c.round(r.NormFloat64() * 0.05)
				add(&old, b)
				y, b, step := c.round(x + r.NormFloat64()*c.change)
				add(&next, b)
				alone += information(y, step, 0, math.Hypot(0.05, c.change)) / 8
				based += information(y, step, x, c.change) / 8
			}
			for _, k := range []struct {
				name         string
				old          []byte
				theory, over float64
			}{{"based", old, based, c.over}, {"alone", nil, alone, c.overAlone}} {
				got := float64(len(roundTrip(t, c.class, &array{cols: 512, old: k.old, next: next})))
				t.Logf("%s: %.0f bytes, %.4f of theory", k.name, got, got/k.theory)
				if got > k.theory*k.over {
					t.Errorf("%s: more than %.2f", k.name, k.over)
				}
			}
		})
	}
}

// Few elements of each row that move by one step cost where they are and which
// way they go.
func TestSparse(t *testing.T) {
	const n = 1 << 18
	for _, part := range []float64{0.2, 0.01, 0.0005} {
		for _, class := range []codec.Class{codec.Int8, codec.I16, codec.F32} {
			r := rand.New(rand.NewPCG(3, 4))
			numbers := make([]int64, n)
			for i := range numbers {
				numbers[i] = int64(r.NormFloat64() * (1 << 22))
			}
			a := array{cols: 256, old: elements(class, numbers)}
			a.next = slices.Clone(a.old)
			for i := 0; i < len(a.next); i += class.Width() {
				if r.Float64() < part && a.next[i] > 0 && a.next[i] < 0xff {
					a.next[i] += byte(1 - 2*r.IntN(2))
				}
			}
			theory := n / 8 * (part - part*math.Log2(part) - (1-part)*math.Log2(1-part))
			got := float64(len(roundTrip(t, class, &a)))
			t.Logf("%s, %v: %.0f bytes, %.3f of theory", classNames[class], part, got, got/theory)
			if got > theory*1.07+50 {
				t.Errorf("%s, %v: %.0f bytes, %.0f in theory", classNames[class], part, got, theory)
			}
		}
	}
}

// Which elements are pruned follows from how small they are: it costs next to
// nothing.
func TestPruned(t *testing.T) {
	const n, cols = 1 << 18, 512
	for _, class := range []codec.Class{codec.F32, codec.F16, codec.BF16, codec.I16} {
		for _, perRow := range []bool{false, true} {
			r := rand.New(rand.NewPCG(5, 6))
			numbers := make([]int64, n)
			for i := range numbers {
				numbers[i] = int64(math.Ldexp(r.NormFloat64(), 20+i/cols%4/2))
			}
			pruned := slices.Clone(numbers)
			run := n
			if perRow {
				run = cols
			}
			for at := 0; at < n; at += run {
				sizes := make([]int64, run)
				for i, x := range numbers[at : at+run] {
					sizes[i] = max(x, -x)
				}
				slices.Sort(sizes)
				for i, x := range pruned[at : at+run] {
					if max(x, -x) < sizes[run/2] {
						pruned[at+i] = 0
					}
				}
			}
			a := array{cols: cols, old: elements(class, numbers), next: elements(class, pruned)}
			got := len(roundTrip(t, class, &a))
			t.Logf("%s, per row %v: %d bytes of %d", classNames[class], perRow, got, len(a.next))
			if got > len(a.next)/100 {
				t.Errorf("%s, per row %v: %d bytes of %d", classNames[class], perRow, got, len(a.next))
			}
		}
	}
}

// What does not change is nearly free, and what is unforeseeable hardly
// grows.
func TestEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, class := range allClasses {
		a := array{cols: 100, next: make([]byte, 1<<16)}
		for i := range a.next {
			a.next[i] = byte(r.Uint32())
		}
		if got := len(roundTrip(t, class, &a)); got > len(a.next)+len(a.next)/25 {
			t.Errorf("%s: %d bytes for %d of noise", classNames[class], got, len(a.next))
		}
		a.old = a.next
		if got := len(roundTrip(t, class, &a)); got > 60 {
			t.Errorf("%s: %d bytes for no change", classNames[class], got)
		}
	}
}
