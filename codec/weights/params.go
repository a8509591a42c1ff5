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
	// Level is the logarithm of the average magnitude, in quarter bits.
	Level int
	// Zeros says that elements become zero whose basis is not, as in pruning.
	Zeros bool
	// Period is after how many elements an array without basis resembles
	// itself, up to [MaxPeriod]; 0: it does not. See [Period].
	Period int
}

// Measure returns the parameters with which to code data, whole elements of a
// class in rows of cols, with a basis of the same length or nil. It does not
// look for a period.
func Measure(class codec.Class, cols int, basis, data []byte) Params {
	f := formatOf(class)
	p := Params{Class: class, Cols: cols, Based: basis != nil}
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
	var sum uint64
	n, zeros := 0, 0
	pieces(func(v, b []int64) {
		for i, x := range v {
			sum += min(p.magnitude(&f, x, b[i]), 1<<44)
			if p.Based && x == 0 && b[i] != 0 {
				zeros++
			}
		}
		n += len(v)
	})
	if n > 0 {
		p.Level = level(sum / uint64(n))
	}
	p.Zeros = zeros > n/64
	return p
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
	return nil
}
