package derive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Binary form of a conversion, version 1; classes and shape are known:
//
//	byte     1
//	byte     Kind; what follows is of Quantize only
//	byte     axis: 0 all, 1 row, 2 column, 3 peak of the row, 4 range of the row
//	byte     form: 0 w·k in float64, 1 in float32, 2 w/s in float32, 3 w·(1/s)
//	         in float32; +128 if halves go away from zero
//	varint   least and greatest integer, each
//	byte     zero points: 0 none, 1 one, 2 one for each row or column
//	varint   each zero point
//	axis 3, 4:
//	4 bytes  levels, float32, little-endian
//	axis 0 to 2:
//	byte     4 or 8: factors are float32 or float64, 4 if all can be
//	bytes    of all factors (one, or one for each row or column) the highest
//	         byte, then of all the next …, of the bits rotated left by one
const (
	conversionVersion = 1
	awayFlag          = 128
)

// AppendBinary appends the binary form of a conversion that FindConversion or
// ParseConversion returned.
func (c *Conversion) AppendBinary(to []byte) []byte {
	to = append(to, conversionVersion, byte(c.Kind))
	if c.Kind != Quantize {
		return to
	}
	g := &c.grid
	form := byte(g.form)
	if g.away {
		form |= awayFlag
	}
	to = append(to, byte(g.axis), form)
	to = binary.AppendVarint(to, int64(g.low))
	to = binary.AppendVarint(to, int64(g.high))
	to = append(to, byte(min(2, len(g.zeros))))
	for _, z := range g.zeros {
		to = binary.AppendVarint(to, int64(z))
	}
	if g.axis.rule() {
		return binary.LittleEndian.AppendUint32(to, math.Float32bits(float32(g.levels)))
	}
	width := factorWidth(g.factors)
	to = append(to, byte(width))
	for plane := width - 1; plane >= 0; plane-- {
		for _, k := range g.factors {
			to = append(to, byte(factorBitsOf(k, width)>>(8*plane)))
		}
	}
	return to
}

// factorWidth returns 4 if all factors are float32.
func factorWidth(factors []float64) int {
	for _, k := range factors {
		if float64(float32(k)) != k {
			return 8
		}
	}
	return 4
}

func factorBitsOf(k float64, width int) uint64 {
	if width == 4 {
		return uint64(bits.RotateLeft32(math.Float32bits(float32(k)), 1))
	}
	return bits.RotateLeft64(math.Float64bits(k), 1)
}

// ParseConversion reads the binary form of a conversion between matrices of
// these classes and this shape (of old). It accepts nothing but what
// AppendBinary makes, and allocates no more than 8 times the length of b. It
// wraps [ErrConversion].
func ParseConversion(b []byte, from, to codec.Class, rows, cols, block int) (Conversion, error) {
	c := Conversion{From: from, To: to, Rows: rows, Cols: cols, Block: block}
	if !c.parse(b) || !bytes.Equal(c.AppendBinary(make([]byte, 0, len(b))), b) {
		return Conversion{}, fmt.Errorf("%d bytes of a conversion of %d x %d x %d: %w", len(b), rows, cols, block, ErrConversion)
	}
	return c, nil
}

func (c *Conversion) parse(b []byte) bool {
	if len(b) < 2 || b[0] != conversionVersion || c.Rows < 1 || c.Cols < 1 || c.Block < 1 ||
		c.Cols > maxRowElements || c.Block > maxRowElements || c.width() > maxRowElements || !floating(c.From) || c.From == c.To {
		return false
	}
	c.Kind, b = Kind(b[1]), b[2:]
	switch c.Kind {
	case Cast:
		return floating(c.To) && len(b) == 0
	case Truncate:
		return c.To == codec.BF16 && c.From.Width() > 2 && len(b) == 0
	case Quantize:
		return (c.To == codec.Int8 || c.To == codec.I16 || c.To == codec.I32) && c.parseGrid(b)
	}
	_, ok := blockOf(c.Kind)
	return ok && c.To == codec.Other && c.From.Width() <= 4 && c.width()%blockElements == 0 && len(b) == 0
}

func (c *Conversion) parseGrid(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	g := &c.grid
	g.axis, g.form, g.away = axis(b[0]), form(b[1]&^awayFlag), b[1]&awayFlag != 0
	if g.axis >= axes || g.form >= forms {
		return false
	}
	least, greatest := limits(c.To)
	b = b[2:]
	var ok bool
	if g.low, b, ok = parseInt(b, least, greatest); !ok {
		return false
	}
	if g.high, b, ok = parseInt(b, g.low, greatest); !ok || len(b) == 0 {
		return false
	}
	groups := g.axis.groups(c.Rows, c.Cols)
	zeros := [3]int{0, 1, groups}[min(2, b[0])]
	if b[0] > 2 || b[0] == 2 && groups < 2 || len(b)-1 < zeros {
		return false
	}
	b = b[1:]
	if zeros > 0 {
		g.zeros = make([]int32, zeros)
	}
	for i := range g.zeros {
		if g.zeros[i], b, ok = parseInt(b, -1<<30, 1<<30); !ok {
			return false
		}
	}
	if g.axis.rule() {
		if len(b) != 4 {
			return false
		}
		g.levels = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		return finite(g.levels) && g.levels > 0
	}
	return g.parseFactors(b, groups)
}

func (g *grid) parseFactors(b []byte, groups int) bool {
	if len(b) < 1 || b[0] != 4 && b[0] != 8 {
		return false
	}
	width := int(b[0])
	b = b[1:]
	if len(b)/width != groups || len(b)%width != 0 {
		return false
	}
	g.factors = make([]float64, groups)
	for i := range g.factors {
		var v uint64
		for plane := range width {
			v = v<<8 | uint64(b[plane*groups+i])
		}
		k := math.Float64frombits(bits.RotateLeft64(v, -1))
		if width == 4 {
			k = float64(math.Float32frombits(bits.RotateLeft32(uint32(v), -1)))
		}
		if !finite(k) || k < 0 || k == 0 && v != 0 {
			return false
		}
		g.factors[i] = k
	}
	return true
}

// limits returns what integers a class holds; bytes are signed or not.
func limits(class codec.Class) (least, greatest int32) {
	switch class {
	case codec.I16:
		return math.MinInt16, math.MaxInt16
	case codec.I32:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt8, math.MaxUint8
}

func parseInt(b []byte, least, greatest int32) (v int32, rest []byte, ok bool) {
	x, n := binary.Varint(b)
	if n <= 0 || x < int64(least) || x > int64(greatest) {
		return 0, nil, false
	}
	return int32(x), b[n:], true
}
