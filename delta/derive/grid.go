package derive

import (
	"encoding/binary"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// grid is q = clamp(round(w·k) + z, low, high), with k and z for groups of
// elements.
type grid struct {
	axis      axis
	form      form
	away      bool // halves away from zero; else to even
	low, high int32
	factors   []float64 // k (or s) of each group; none where a rule gives it
	zeros     []int32   // z of each group, or one for all
	levels    float64   // of a rule
}

// axis says what shares a factor.
type axis uint8

const (
	whole    axis = iota // all elements
	byRow                // a row
	byColumn             // a column: element j of a row has factor j/Block
	byPeak               // a row, by rule: levels / the largest magnitude
	byRange              // a row, by rule: levels / (largest - least, 0 included), and a zero point
	axes
)

// rule says whether the factors follow from the row.
func (a axis) rule() bool { return a == byPeak || a == byRange }

// groups returns how many factors there are.
func (a axis) groups(rows, cols int) int {
	switch a {
	case whole:
		return 1
	case byRow:
		return rows
	case byColumn:
		return cols
	}
	return 0
}

// form is the arithmetic of w·k.
type form uint8

const (
	product64 form = iota // float64(w·k)
	product32             // float32(w·k), k float32
	quotient              // float32(w/s), s float32
	inverse               // float32(w·float32(1/s)), s float32
	forms
)

// apply returns w scaled by k, which is s for quotient and inverse.
func (f form) apply(w, k float64) float64 {
	switch f {
	case product32, inverse: // inverse: k is 1/s already
		return float64(float32(w * k))
	case quotient:
		return float64(float32(w / k))
	}
	return w * k
}

// quantizeRow makes a row of integers.
func (c *Conversion) quantizeRow(i int, old, basis []byte, rest []int8) {
	g := &c.grid
	k, zero := 0.0, 0
	switch g.axis {
	case whole:
		k = g.factors[0]
	case byRow:
		k = g.factors[i]
	case byPeak, byRange:
		k, zero = c.derive(old)
	}
	if len(g.zeros) == 1 {
		zero = int(g.zeros[0])
	} else if len(g.zeros) > 1 && g.axis == byRow {
		zero = int(g.zeros[i])
	}
	var numbers [tile]float64
	for from := 0; from < c.width(); from += tile {
		part := numbers[:min(tile, c.width()-from)]
		loadFloats(c.From, old[from*c.From.Width():], part)
		for j, w := range part {
			if g.axis == byColumn {
				group := (from + j) / c.Block
				k = g.factors[group]
				if len(g.zeros) > 1 {
					zero = int(g.zeros[group])
				}
			}
			y := 0.0
			if k != 0 {
				y = g.form.apply(w, k)
			}
			q, above := g.round(y, zero)
			putInteger(c.To, basis, from+j, q)
			if rest != nil {
				rest[from+j] = above
			}
		}
	}
}

// round returns the integer for a scaled number, and how far that is above it
// in 1/256. What is not finite is 0.
func (g *grid) round(y float64, zero int) (q int32, above int8) {
	if !finite(y) {
		y = 0
	}
	r := math.RoundToEven(y)
	if g.away {
		r = math.Round(y)
	}
	exact := max(float64(g.low), min(float64(g.high), r+float64(zero)))
	left := math.Floor((y + float64(zero) - exact) * 256)
	return int32(exact), int8(max(-128, min(127, left)))
}

func putInteger(class codec.Class, row []byte, i int, q int32) {
	switch class {
	case codec.I16:
		binary.LittleEndian.PutUint16(row[2*i:], uint16(q))
	case codec.I32:
		binary.LittleEndian.PutUint32(row[4*i:], uint32(q))
	default:
		row[i] = byte(q)
	}
}

// derive returns the factor and zero point that a rule gives a row.
func (c *Conversion) derive(old []byte) (k float64, zero int) {
	g := &c.grid
	low, high := 0.0, 0.0
	var numbers [tile]float64
	for from := 0; from < c.width(); from += tile {
		part := numbers[:min(tile, c.width()-from)]
		loadFloats(c.From, old[from*c.From.Width():], part)
		for _, w := range part {
			if finite(w) {
				low, high = min(low, w), max(high, w)
			}
		}
	}
	span := max(-low, high)
	if g.axis == byRange {
		span = high - low
	}
	k, s := g.factor(span)
	if g.axis == byRange && s != 0 {
		zero = int(math.RoundToEven(max(-1<<30, min(1<<30, float64(g.low)-float64(low/s)))))
	}
	return k, zero
}

// factor returns what form multiplies or divides by, and the scale, for the
// span of a row; 0 for a row of zeros, or of numbers that are too small.
func (g *grid) factor(span float64) (k, s float64) {
	s = span / g.levels
	k = g.levels / span
	if g.form != product64 {
		s = float64(float32(float64(float32(span)) / g.levels))
		k = float64(float32(g.levels / float64(float32(span))))
	}
	switch g.form {
	case quotient:
		k = s
	case inverse:
		k = float64(float32(1 / s))
	}
	if !finite(k) || !finite(s) || k == 0 || s == 0 {
		return 0, 0
	}
	return k, s
}
