package derive

import (
	"context"
	"fmt"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Kind is a way to make a new tensor from an old one of another class.
type Kind uint8

// The kinds.
const (
	// Cast converts between F16, BF16, F32 and F64, to nearest, ties to even.
	// To 16 bits it goes through F32, as tools do.
	Cast Kind = iota + 1
	// Truncate converts F32 or F64 to BF16 by dropping bits.
	Truncate
	// Quantize makes integers by factors and zero points.
	Quantize
	// Q8_0 and the others make GGUF blocks of 32 numbers as ggml's reference
	// code does.
	Q8_0
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	kinds
)

// Conversion makes rows of a tensor of one class from rows of another. A value
// is not changed by its methods and may be shared.
type Conversion struct {
	Kind     Kind
	From, To codec.Class
	Rows     int  // of both
	Cols     int  // of both but blocks: Matrix.Cols of old
	Block    int  // likewise
	grid     grid // of Quantize
}

// width returns the elements of a row of old.
func (c *Conversion) width() int { return c.Cols * c.Block }

// basisBytes returns the bytes of a row of the basis.
func (c *Conversion) basisBytes() int {
	if b, ok := blockOf(c.Kind); ok {
		return c.width() / blockElements * b.bytes
	}
	return c.width() * c.To.Width()
}

// Row writes row i of the basis, made from row i of old: old holds Cols·Block
// elements of From, basis as many of To, or their blocks. They may not overlap;
// i is in 0..Rows-1. The bits are the same on every architecture; nothing is
// allocated.
func (c *Conversion) Row(i int, old, basis []byte) { c.RowRest(i, old, basis, nil) }

// RowRest is Row and writes to rest, unless it is nil, what rounding took from
// each element, as [Factors.AddRowRest] does: 1/256 of a step, positive if the
// exact number is above. It has Cols·Block elements, and stays as it is for
// GGUF blocks.
func (c *Conversion) RowRest(i int, old, basis []byte, rest []int8) {
	switch c.Kind {
	case Cast:
		castRow(c.From, c.To, old, basis, rest)
	case Truncate:
		truncateRow(c.From, old, basis, rest)
	case Quantize:
		c.quantizeRow(i, old, basis, rest)
	default:
		c.blockRow(old, basis)
	}
}

// FindConversion finds how new may have been made from old, and says whether it
// helps: then what is left is estimated to take under 3/4 of the bits that new
// takes by itself. The matrices have one shape and different classes:
//
//	F16 BF16 F32 F64 -> F16 BF16 F32 F64
//	F16 BF16 F32 F64 -> Int8 (signed or not), I16, I32: one factor and zero
//	                    point for all, for each row or for each column
//	F16 BF16 F32     -> Other: rows of GGUF blocks of 32, where Cols·Block is the
//	                    row's bytes
//
// All else is no conversion. Unrelated matrices are recognised by some thousand
// elements; otherwise both are read up to three times. Memory is some MiB, and
// 80 bytes a row or column. Errors are those of ctx and of reading.
func FindConversion(ctx context.Context, old, next Matrix) (Conversion, bool, error) {
	c := Conversion{From: old.Class, To: next.Class, Rows: old.Rows, Cols: old.Cols, Block: old.Block}
	if !usable(&old) || !usable(&next) || !floating(old.Class) || old.Rows != next.Rows || old.Class == next.Class {
		return Conversion{}, false, nil
	}
	var ok bool
	var err error
	same := width(&old) == width(&next)
	switch {
	case floating(next.Class) && same:
		ok, err = c.findCast(ctx, &old, &next)
	case (next.Class == codec.Int8 || next.Class == codec.I16 || next.Class == codec.I32) && same:
		ok, err = c.findGrid(ctx, &old, &next)
	case next.Class == codec.Other:
		ok, err = c.findBlocks(ctx, &old, &next)
	}
	if err != nil {
		return Conversion{}, false, fmt.Errorf("conversion of %d x %d: %w", old.Rows, width(&old), err)
	}
	if !ok {
		return Conversion{}, false, nil
	}
	return c, true, nil
}

// ResidualBits returns the entropy in bits of what is left between new and the
// basis made from old, as [Factors.ResidualBits] does. It wraps [ErrShape] if
// they do not fit.
func (c *Conversion) ResidualBits(ctx context.Context, old, next Matrix) (float64, error) {
	if !usable(&old) || !usable(&next) || old.Class != c.From || next.Class != c.To || old.Rows != c.Rows ||
		next.Rows != c.Rows || old.Cols != c.Cols || old.Block != c.Block || rowBytes(&next) != c.basisBytes() {
		return 0, fmt.Errorf("conversion of %d x %d for %d x %d and %d x %d: %w",
			c.Rows, c.width(), old.Rows, width(&old), next.Rows, width(&next), ErrShape)
	}
	var t tally
	basis, rest := make([]byte, c.basisBytes()), make([]int8, c.width())
	if _, blocks := blockOf(c.Kind); blocks {
		rest = nil
	}
	err := eachRow(ctx, &old, &next, 1, 0, width(&old), func(i int, a, b []byte) error {
		c.RowRest(i, a, basis, rest)
		t.row(c.To, b, basis, rest)
		return nil
	})
	return t.bits(), err
}

// sampleElements is how much of a row is looked at first.
const sampleElements = 1024

// sampleRows is how many rows are looked at first.
const sampleRows = 64

// length is the bits of a signed difference, about.
func length(d float64) float64 { return math.Log2(1 + 2*math.Abs(d)) }
