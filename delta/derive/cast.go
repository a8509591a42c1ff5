package derive

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// castRow converts a row between floating classes.
func castRow(from, to codec.Class, old, basis []byte, rest []int8) {
	n := len(old) / from.Width()
	if rest != nil {
		clear(rest[:n])
	}
	switch {
	case to == codec.F64:
		for i := range n {
			binary.LittleEndian.PutUint64(basis[8*i:], widenF32(bits32(from, old, i)))
		}
	case rest != nil && from.Width() > to.Width():
		for i := range n {
			b := bits32(from, old, i)
			put32(to, basis, i, b)
			exact := [1]float64{float64(math.Float32frombits(b))}
			if from == codec.F64 && to == codec.F32 {
				exact[0] = math.Float64frombits(binary.LittleEndian.Uint64(old[8*i:]))
			}
			if finite(exact[0]) {
				removed(to, exact[:], rest[i:i+1])
			}
		}
	default:
		for i := range n {
			put32(to, basis, i, bits32(from, old, i))
		}
	}
}

// truncateRow converts a row to BF16 by dropping bits. What is dropped is 0 to
// nearly 1 of a unit, so rest says how far it is from a half.
func truncateRow(from codec.Class, old, basis []byte, rest []int8) {
	n := len(old) / from.Width()
	for i := range n {
		b := bits32(from, old, i)
		if b&0x7fffffff > 0x7f800000 {
			b |= 0x400000 // stays a NaN
		}
		binary.LittleEndian.PutUint16(basis[2*i:], uint16(b>>16))
		if rest != nil {
			rest[i] = int8(b>>8) ^ -128 ^ int8(int32(b)>>31)
		}
	}
}

// findCast chooses between Cast and Truncate by a sample. Either helps if new is
// much nearer to its basis than to the basis of the next element.
func (c *Conversion) findCast(ctx context.Context, old, next *Matrix) (bool, error) {
	n := min(c.width(), sampleElements)
	basis := make([]byte, n*c.To.Width())
	var cost [2]float64 // bits of Cast, of Truncate
	unrelated := 0.0
	err := eachRow(ctx, old, next, spread(c.Rows, sampleRows), 0, n, func(_ int, a, b []byte) error {
		castRow(c.From, c.To, a, basis, nil)
		cost[0] += differenceBits(c.To, b, basis)
		w := c.To.Width()
		if n > 1 {
			unrelated += differenceBits(c.To, b[w:], basis[:len(basis)-w]) + differenceBits(c.To, b[:w], basis[len(basis)-w:])
		} else {
			unrelated += float64(8 * w)
		}
		if c.To == codec.BF16 && c.From.Width() > 2 {
			truncateRow(c.From, a, basis, nil)
			cost[1] += differenceBits(c.To, b, basis)
		}
		return nil
	})
	c.Kind = Cast
	if c.To == codec.BF16 && c.From.Width() > 2 && cost[1] < cost[0] {
		c.Kind, cost[0] = Truncate, cost[1]
	}
	return cost[0] < 0.75*unrelated, err
}

// differenceBits sums the lengths of the ordered differences of two rows.
func differenceBits(class codec.Class, a, b []byte) (sum float64) {
	for i := range len(a) / class.Width() {
		sum += length(float64(difference(class, a, b, i)))
	}
	return sum
}
