package weights

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Params say what an array is like; they travel with it.
type Params struct {
	Class codec.Class
	Cols  int  // elements of a row; 0: not known
	Based bool // there is a basis
	Top   int  // floats: the highest exponent, of the basis if there is one
	Level int  // of the average magnitude at the start
	Zeros bool // elements become zero whose basis was not
	// Period is after how many elements an array without basis resembles
	// itself; 0: it does not.
	Period int
}

// Measure returns the parameters with which to code data, or an array of which
// data is a fair sample; of floats without basis data must be all, for Top. basis
// is nil, or as long as data, whole elements.
func Measure(class codec.Class, cols int, basis, data []byte) Params {
	const piece = 4096
	m := &Model{f: formatOf(class), based: basis != nil}
	f := &m.f
	p := Params{Class: class, Cols: cols, Based: basis != nil}
	v, b := make([]int64, piece), make([]int64, piece)
	pieces := func(do func(v, b []int64)) {
		for at := 0; at < len(data); at += piece * f.width {
			n := min(len(data)-at, piece*f.width)
			f.load(v[:n/f.width], data[at:])
			if basis != nil {
				f.load(b[:n/f.width], basis[at:])
			}
			do(v[:n/f.width], b[:n/f.width])
		}
	}
	if f.float {
		pieces(func(v, b []int64) {
			if basis != nil {
				v = b
			}
			for _, x := range v {
				p.Top = max(p.Top, f.exp(x))
			}
		})
	}
	m.p = p
	var sum uint64
	zeros := 0
	pieces(func(v, b []int64) {
		for i := range v {
			_, mag := m.split(v[i], b[i])
			sum += min(mag, 1<<44)
			if p.Based && v[i] == 0 && b[i] != 0 {
				zeros++
			}
		}
	})
	n := len(data) / f.width
	if n > 0 {
		p.Level = level(sum / uint64(n))
	}
	p.Zeros = zeros > n/64
	return p
}

// Validate says whether the parameters are in range.
func (p Params) Validate() error {
	if p.Top < 0 || p.Top > 0x7ff || p.Level < 0 || p.Level > 4*64+3 || p.Cols < 0 || p.Cols > maxCols || p.Period < 0 || p.Period > MaxPeriod {
		return fmt.Errorf("parameters %+v out of range", p)
	}
	return nil
}

// maxCols bounds the elements of a row.
const maxCols = 1 << 16
