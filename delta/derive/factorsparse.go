package derive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// ParseFactors reads the binary form of factors for a matrix of rows rows of
// cols elements. It accepts nothing but what AppendBinary makes; memory is
// bounded by the length of b and the numbers' 8 bytes, Rank·(rows+cols) <= 4 Mi of them.
// It wraps [ErrFactors].
func ParseFactors(b []byte, rows, cols int) (Factors, error) {
	f, ok := parseFactors(b, rows, cols)
	if !ok || f.Validate() != nil || !bytes.Equal(f.AppendBinary(make([]byte, 0, len(b))), b) {
		return Factors{}, fmt.Errorf("%d bytes of factors for %d x %d: %w", len(b), rows, cols, ErrFactors)
	}
	return f, nil
}

func parseFactors(b []byte, rows, cols int) (f Factors, ok bool) {
	if len(b) < 7 || b[0] != factorsVersion || rows < 1 || cols < 1 || rows > maxFactorElements || cols > maxFactorElements {
		return f, false
	}
	f = Factors{
		Rows: rows, Cols: cols, Order: Order(b[1]),
		Scale: math.Float32frombits(binary.LittleEndian.Uint32(b[2:])),
	}
	rank, n := binary.Uvarint(b[6:])
	if n <= 0 || rank < 1 || rank > MaxRank || int(rank)*(rows+cols) > maxFactorElements {
		return f, false
	}
	f.Rank = int(rank)
	f.U, f.V = make([]float64, f.Rank*rows), make([]float64, f.Rank*cols)
	all := f.components()
	b, ok = parseWidths(b[6+n:], all)
	if !ok {
		return f, false
	}
	return f, parseNumbers(b, all)
}

func parseWidths(b []byte, all []component) ([]byte, bool) {
	for k := range all {
		c := &all[k]
		if len(b) == 0 {
			return nil, false
		}
		c.width, b = int(b[0]), b[1:]
		if c.width == 0 || c.width == rawWidth {
			continue
		}
		e, n := binary.Varint(b)
		if c.width > maxWidth || n <= 0 || e < leastExponent || e > mostExponent {
			return nil, false
		}
		c.exponent, b = int(e), b[n:]
	}
	return b, true
}

// parseNumbers fills the components from the bytes and bits that end the form.
func parseNumbers(b []byte, all []component) bool {
	whole, low := 0, 0
	for k := range all {
		c := &all[k]
		switch c.width {
		case 0:
			continue
		case rawWidth:
			whole += c.length
		}
		whole += c.length
		low += c.low() * c.length
	}
	if len(b) != whole+(low+7)/8 {
		return false
	}
	upper, packed := b[:whole], b[whole:]
	var acc uint64
	held := 0
	for k := range all {
		c := &all[k]
		if c.width == 0 {
			continue
		}
		var high []byte
		if c.width == rawWidth {
			high, upper = upper[:c.length], upper[c.length:]
		}
		n := c.low()
		for i, x := range upper[:c.length] {
			for held < n {
				acc |= uint64(packed[0]) << held
				packed = packed[1:]
				held += 8
			}
			u := uint64(x)
			if high != nil {
				u |= uint64(high[i]) << 8
			}
			c.join(i, u, acc&(1<<n-1))
			acc >>= n
			held -= n
		}
		upper = upper[c.length:]
	}
	return true
}
