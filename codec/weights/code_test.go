package weights_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
	"pgregory.net/rapid"
)

func isFloat(class codec.Class) bool {
	return class == codec.F16 || class == codec.BF16 || class == codec.F32 || class == codec.F64
}

// model returns a new model for a.
func (a *array) model(class codec.Class) *weights.Model {
	return weights.NewModel(class, a.old != nil || a.period > 0 && !isFloat(class))
}

func (a *array) params(class codec.Class) weights.Params {
	if a.sparse {
		p, _ := weights.MeasureSparse(class, a.cols, a.old, a.next)
		return p
	}
	p := weights.Measure(class, a.cols, a.old, a.next)
	p.Period = a.period
	return p
}

// encode codes an array with what m has learned.
func (a *array) encode(m *weights.Model, c *mix.Coder, p weights.Params) {
	m.Begin(p, a.start)
	m.Code(c, a.old, a.rest, a.next)
}

// decode returns the array that c holds.
func (a *array) decode(m *weights.Model, c *mix.Coder, p weights.Params) []byte {
	out := make([]byte, len(a.next))
	m.Begin(p, a.start)
	m.Code(c, a.old, a.rest, out)
	return out
}

// failer is what a round trip needs of a test.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// roundTrip returns a coded, having seen that it comes back.
func roundTrip(t failer, class codec.Class, a *array) []byte {
	t.Helper()
	p := a.params(class)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	enc := mix.NewEncoder(nil)
	a.encode(a.model(class), enc, p)
	coded := enc.Finish()
	dec := mix.NewDecoder(coded)
	if out := a.decode(a.model(class), dec, p); !bytes.Equal(out, a.next) {
		t.Fatalf("%d bytes of %s do not come back", len(a.next), classNames[class])
	}
	if err := dec.Err(); err != nil {
		t.Fatal(err)
	}
	return coded
}

// drawArray draws any array at all of a class: elements may be special, near
// their basis, or any bits.
func drawArray(t *rapid.T, class codec.Class) array {
	a := array{cols: rapid.SampledFrom([]int{0, 1, 2, 3, 7, 64, 1000, weights.MaxCols}).Draw(t, "cols")}
	a.start = rapid.IntRange(0, max(a.cols, 1)-1).Draw(t, "start")
	n := rapid.SampledFrom([]int{0, 1, 2, 5, 30, 100, 200, 300, 1000, 5000}).Draw(t, "elements")
	s := source(rapid.Uint64Min(1).Draw(t, "seed"))
	likely := rapid.IntRange(0, 3).Draw(t, "what elements are likely to be")
	element := func() uint64 {
		kind := likely
		if s.below(8) == 0 {
			kind = s.below(4)
		}
		switch kind {
		case 0:
			return 0
		case 1:
			return special(class, s.below(specials))
		case 2:
			return binary.LittleEndian.Uint64(append(elements(class, []int64{s.bell(22)}), 0, 0, 0, 0, 0, 0, 0))
		}
		return s.next()
	}
	var old []byte
	for range n {
		x := element()
		y := x
		if s.below(4) == 0 {
			y = element()
		} else if s.below(2) == 0 {
			y += uint64(s.bell(s.below(10)))
		}
		old = binary.LittleEndian.AppendUint64(old, x)[:len(old)+class.Width()]
		a.next = binary.LittleEndian.AppendUint64(a.next, y)[:len(a.next)+class.Width()]
	}
	switch rapid.IntRange(0, 5).Draw(t, "basis") {
	case 0:
		a.old = old
	case 1:
		a.old = old
		for range n {
			a.rest = append(a.rest, int8(s.next()))
		}
	case 2:
		a.period = rapid.SampledFrom([]int{1, 5, 900, 5000, weights.MaxPeriod}).Draw(t, "period")
	case 3:
		a.old, a.sparse = old, old != nil
	case 4:
		a.old, a.sparse = old, old != nil
		for range n {
			a.rest = append(a.rest, int8(s.next()))
		}
	}
	return a
}

const specials = 8

// special returns the bits of elements that are at some end.
func special(class codec.Class, i int) uint64 {
	sign := uint64(1) << (8*class.Width() - 1)
	var infinite, one uint64
	switch class {
	case codec.F16:
		infinite, one = 0x1f<<10, 15<<10
	case codec.BF16:
		infinite, one = 0xff<<7, 127<<7
	case codec.F32:
		infinite, one = 0xff<<23, 127<<23
	case codec.F64:
		infinite, one = 0x7ff<<52, 1023<<52
	}
	return [specials]uint64{
		sign, sign - 1, infinite, infinite + 1, // -0 or the least integer; NaN or the greatest; +Inf; NaN
		sign | infinite, one, 1, sign | 1, // -Inf; 1; the least subnormals, or 1 and the least but one
	}[i]
}

// Whatever the elements, they come back.
func TestRoundTrip(t *testing.T) {
	for _, class := range allClasses {
		t.Run(classNames[class], func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a := drawArray(t, class)
				roundTrip(t, class, &a)
			})
		})
	}
}

// Each special element against each, where differences are the largest and wrap.
func TestExtremes(t *testing.T) {
	for _, class := range allClasses {
		var a array
		for i := range specials {
			for j := range specials {
				for range 3 {
					w := class.Width()
					a.old = append(a.old, binary.LittleEndian.AppendUint64(nil, special(class, i))[:w]...)
					a.next = append(a.next, binary.LittleEndian.AppendUint64(nil, special(class, j))[:w]...)
				}
			}
		}
		for _, old := range [][]byte{a.old, nil} {
			for _, period := range []int{0, 3, 24} {
				roundTrip(t, class, &array{cols: 24, old: old, next: a.next, period: period})
			}
		}
	}
}

// Differences of 64-bit numbers wrap, and -2^63 is its own opposite.
func TestWraps(t *testing.T) {
	le := binary.LittleEndian
	values := []uint64{0, 1, 1 << 63, 1<<63 - 1, 1<<63 + 1, 1<<64 - 1, 1 << 62, 3 << 62}
	for _, class := range []codec.Class{codec.I64, codec.F64} {
		a := array{cols: len(values)}
		for _, b := range values {
			for _, v := range values {
				a.old, a.next = le.AppendUint64(a.old, b), le.AppendUint64(a.next, v)
			}
		}
		roundTrip(t, class, &a)
		a.old = nil
		roundTrip(t, class, &a)
	}
}

// The farthest two 64-bit elements can be apart is one more than fits a class.
func TestFarthest(t *testing.T) {
	a := array{cols: 4}
	for i := range 100 {
		a.old = binary.LittleEndian.AppendUint64(a.old, uint64(i))
		a.next = binary.LittleEndian.AppendUint64(a.next, uint64(i+i%3-1)+1<<63)
	}
	if n := len(roundTrip(t, codec.I64, &a)); n > 100 {
		t.Errorf("100 differences of 2^63 and beside take %d bytes", n)
	}
	a.old = nil
	roundTrip(t, codec.I64, &a)
}

// Arrays in runs of any length give the bits of arrays in one, both ways, and a
// model that coded another array before serves as well.
func TestRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom(allClasses).Draw(t, "class")
		first, a := drawArray(t, class), drawArray(t, class)
		if (first.old == nil) != (a.old == nil) {
			first = a
		}
		first.sparse, a.sparse = false, false // in those, gaps end with runs
		lengths := rapid.SliceOf(rapid.IntRange(0, 6000)).Draw(t, "runs")
		p := a.params(class)

		whole, m := mix.NewEncoder(nil), a.model(class)
		first.encode(m, whole, first.params(class))
		a.encode(m, whole, p)
		want := whole.Finish()

		inRuns, m := mix.NewEncoder(nil), a.model(class)
		first.encode(m, inRuns, first.params(class))
		m.Begin(p, a.start)
		a.runs(class, lengths, func(old []byte, rest []int8, next []byte) { m.Code(inRuns, old, rest, next) })
		if !bytes.Equal(inRuns.Finish(), want) {
			t.Fatal("runs give other bits")
		}

		dec, m := mix.NewDecoder(want), a.model(class)
		first.decode(m, dec, first.params(class))
		m.Begin(p, a.start)
		a.runs(class, lengths, func(old []byte, rest []int8, next []byte) {
			out := make([]byte, len(next))
			if m.Code(dec, old, rest, out); !bytes.Equal(out, next) {
				t.Fatal("a run does not come back")
			}
		})
	})
}

// runs calls do for one run of a after the other, of the given lengths and what
// is left.
func (a *array) runs(class codec.Class, lengths []int, do func(old []byte, rest []int8, next []byte)) {
	w := class.Width()
	at, n := 0, len(a.next)/w
	for _, length := range append(lengths, n) {
		end := min(at+length, n)
		var old []byte
		var rest []int8
		if a.old != nil {
			old = a.old[at*w : end*w]
		}
		if a.rest != nil {
			rest = a.rest[at:end]
		}
		do(old, rest, a.next[at*w:end*w])
		at = end
	}
}

// Hints may come for some runs of an array and not for others.
func TestSomeHints(t *testing.T) {
	for _, class := range allClasses {
		a := makeArray(class, kindRest, 3000)
		p, half := a.params(class), 1500*class.Width()
		code := func(c *mix.Coder, data []byte) {
			m := a.model(class)
			m.Begin(p, a.start)
			m.Code(c, a.old[:half], a.rest[:1500], data[:half])
			m.Code(c, a.old[half:], nil, data[half:])
		}
		enc := mix.NewEncoder(nil)
		code(enc, a.next)
		some := enc.Finish()
		out := make([]byte, len(a.next))
		code(mix.NewDecoder(some), out)
		if !bytes.Equal(out, a.next) {
			t.Errorf("%s does not come back", classNames[class])
		}
	}
}

func TestValidate(t *testing.T) {
	if err := (weights.Params{Top: 0x7ff, Level: 259, Cols: weights.MaxCols, Period: weights.MaxPeriod}).Validate(); err != nil {
		t.Error(err)
	}
	for _, p := range []weights.Params{
		{Sparse: true},
		{Sparse: true, Based: true, Zeros: true},
		{Sparse: true, Based: true, Period: 5},
		{Top: -1},
		{Top: 0x800},
		{Level: -1},
		{Level: 260},
		{Cols: -1},
		{Cols: weights.MaxCols + 1},
		{Period: -1},
		{Period: weights.MaxPeriod + 1},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v passes", p)
		}
	}
}
