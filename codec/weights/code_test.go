package weights_test

import (
	"bytes"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

func isFloat(class codec.Class) bool {
	return class == codec.F16 || class == codec.BF16 || class == codec.F32 || class == codec.F64
}

// model returns a new model for a.
func (a *array) model(class codec.Class) *weights.Model {
	return weights.NewModel(class, a.old != nil || a.period > 0 && !isFloat(class))
}

func (a *array) params(class codec.Class) weights.Params {
	p := weights.Measure(class, a.cols, a.old, a.next)
	p.Period = a.period
	return p
}

// encode codes an array with what m has learned.
func (a *array) encode(m *weights.Model, c *mix.Coder, p weights.Params) {
	m.Begin(p, a.start)
	m.Code(c, a.old, a.rest, a.next)
}

// decode returns the array of size bytes that c holds.
func (a *array) decode(m *weights.Model, c *mix.Coder, p weights.Params) []byte {
	out := make([]byte, len(a.next))
	m.Begin(p, a.start)
	m.Code(c, a.old, a.rest, out)
	return out
}

// roundTrip returns a coded, having seen that it comes back.
func roundTrip(t testing.TB, class codec.Class, a *array) []byte {
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
		t.Fatalf("%d bytes do not come back", len(a.next))
	}
	if err := dec.Err(); err != nil {
		t.Fatal(err)
	}
	return coded
}
