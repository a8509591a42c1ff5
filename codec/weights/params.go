package weights

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	// MaxCols bounds the elements of a row.
	MaxCols = 1 << 16
	// MaxPeriod bounds the period of an array.
	MaxPeriod = 1 << 19
	// usualCols is the row length where none is known.
	usualCols = 1024
	// piece is how many elements are converted at once.
	piece = 4096
)

// Params say what an array is like. They travel with it: both ends must use the
// same.
type Params struct {
	// Class is that of the elements.
	Class codec.Class
	// Cols is how many elements a row has, up to [MaxCols]; 0: not known.
	Cols int
	// Based says that there is a basis.
	Based bool
	// Top is the highest exponent of floats: of the basis if there is one, which
	// a sample may stand for; of the elements themselves if not, and then no
	// element may exceed it. 0 to 0x7ff.
	Top int
	// Level is the logarithm of the average magnitude, in quarter bits; of a
	// sparse array, of the elements that differ from their basis.
	Level int
	// Zeros says that elements become zero whose basis is not, as in pruning.
	Zeros bool
	// Sparse says that what differs from the basis is told by how far it is
	// apart: for arrays of which little changed, anywhere. Only with a basis, and
	// not with Zeros or Period.
	Sparse bool
	// Period is after how many elements an array without basis resembles
	// itself, up to [MaxPeriod]; 0: it does not. See [Period].
	Period int
}

// Measure returns the parameters with which to code data, whole elements of a
// class in rows of cols, with a basis of the same length or nil. It does not
// look for a period, and the array is not sparse.
func Measure(class codec.Class, cols int, basis, data []byte) Params {
	t := measure(class, cols, basis, data)
	p := t.params
	p.Level = level(t.sum / max(t.elements, 1))
	p.Zeros = t.zeros > t.elements/64
	return p
}

// MeasureSparse returns the parameters with which to code data as a sparse
// array, against a basis of the same length, and the share of its elements that
// differ from that, 0 to 1.
func MeasureSparse(class codec.Class, cols int, basis, data []byte) (p Params, share float64) {
	t := measure(class, cols, basis, data)
	p = t.params
	p.Sparse = true
	p.Level = level(t.sum / max(t.changed, 1))
	return p, float64(t.changed) / float64(max(t.elements, 1))
}

// measured is what the elements of an array are like.
type measured struct {
	params                        Params
	sum, elements, zeros, changed uint64
}

func measure(class codec.Class, cols int, basis, data []byte) (t measured) {
	f := formatOf(class)
	t.params = Params{Class: class, Cols: cols, Based: basis != nil}
	p := &t.params
	v, b := make([]int64, piece), make([]int64, piece)
	pieces := func(do func(v, b []int64)) {
		for at := 0; at+f.width <= len(data); at += piece * f.width {
			n := min((len(data)-at)/f.width, piece)
			f.load(v[:n], data[at:])
			if p.Based {
				f.load(b[:n], basis[at:])
			}
			do(v[:n], b[:n])
		}
	}
	if f.float {
		pieces(func(v, b []int64) {
			if p.Based {
				v = b
			}
			for _, x := range v {
				p.Top = max(p.Top, f.exp(x))
			}
		})
	}
	pieces(func(v, b []int64) {
		t.elements += uint64(len(v))
		for i, x := range v {
			t.sum += min(p.magnitude(&f, x, b[i]), 1<<44)
			if !p.Based || x == b[i] {
				continue
			}
			t.changed++
			if x == 0 {
				t.zeros++
			}
		}
	})
	return t
}

// magnitude returns that of an element in averages.
func (p *Params) magnitude(f *format, v, b int64) uint64 {
	if f.float && !p.Based {
		_, mag := f.ofFloat(v, p.Top)
		return mag
	}
	return f.scale(distance(v, b), f.shift(b, p.Top))
}

// Validate says whether the parameters are in range, and with which a [Model]
// keeps its promises.
func (p Params) Validate() error {
	within := func(n, most int) bool { return n >= 0 && n <= most }
	if !within(p.Top, 0x7ff) || !within(p.Level, maxLevel) || !within(p.Cols, MaxCols) || !within(p.Period, MaxPeriod) {
		return fmt.Errorf("parameters %+v out of range", p)
	}
	if p.Sparse && (!p.Based || p.Zeros || p.Period > 0) {
		return fmt.Errorf("parameters %+v contradict each other", p)
	}
	return nil
}
