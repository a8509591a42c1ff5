package derive

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

// ordered returns element i of a row as an integer whose order is that of the
// numbers: floats by sign and magnitude, so that neighbours differ by 1; bytes
// and words as they stand, which is enough for differences modulo their width.
func ordered(c codec.Class, row []byte, i int) int64 {
	switch c {
	case codec.F16, codec.BF16:
		v := int64(binary.LittleEndian.Uint16(row[2*i:]))
		return signMagnitude(v, 0x7fff)
	case codec.F32:
		return signMagnitude(int64(binary.LittleEndian.Uint32(row[4*i:])), math.MaxInt32)
	case codec.F64:
		v := int64(binary.LittleEndian.Uint64(row[8*i:]))
		if v < 0 {
			return -(v & math.MaxInt64)
		}
		return v
	case codec.I16:
		return int64(int16(binary.LittleEndian.Uint16(row[2*i:])))
	case codec.I32:
		return int64(int32(binary.LittleEndian.Uint32(row[4*i:])))
	case codec.I64:
		return int64(binary.LittleEndian.Uint64(row[8*i:]))
	}
	return int64(int8(row[i]))
}

func signMagnitude(v, magnitude int64) int64 {
	if v > magnitude {
		return -(v & magnitude)
	}
	return v
}

// difference returns the ordered difference of two elements, for classes under
// 8 bytes reduced to the class's width.
func difference(c codec.Class, a, b []byte, i int) int64 {
	d := ordered(c, a, i) - ordered(c, b, i)
	switch c {
	case codec.Int8, codec.Other:
		return int64(int8(d))
	case codec.I16:
		return int64(int16(d))
	}
	return d
}

// tally counts ordered differences in contexts, for their exact entropy: small
// ones one by one, larger ones by their length in bits, the bits below the
// first counted as noise.
type tally struct {
	counts [contexts][symbols]uint32
	noise  uint64 // bits
	n      uint64
}

const (
	exponents = 32
	contexts  = exponents * 8
	exact     = 16 // differences of -16..16 are symbols of their own
	symbols   = 2*exact + 1 + 2*64
)

// add counts a difference in a context.
func (t *tally) add(context int, d int64) {
	t.n++
	magnitude := uint64(max(d, -d))
	symbol := exact + int(d)
	if magnitude > exact {
		length := bits.Len64(magnitude)
		t.noise += uint64(length - 1)
		symbol = 2*exact + 1 + length - 1
		if d < 0 {
			symbol += 64
		}
	}
	t.counts[context&(contexts-1)][symbol]++
}

// bits returns the entropy of what was counted, in bits in all: within each
// context by frequency, and 4 bits for each symbol that appears beyond the first, as any model
// has to learn them.
func (t *tally) bits() float64 {
	total := float64(t.noise)
	for c := range t.counts {
		sum, seen := uint32(0), 0
		for _, n := range t.counts[c] {
			sum += n
		}
		if sum == 0 {
			continue
		}
		log := math.Log2(float64(sum))
		for _, n := range t.counts[c] {
			if n > 0 {
				total += float64(n) * (log - math.Log2(float64(n)))
				seen++
			}
		}
		total += 4 * float64(seen-1)
	}
	return total
}

// row counts the differences of a row from its basis, in contexts of the
// basis's exponent and, unless rest is nil, of how far and to which side it was
// rounded.
func (t *tally) row(c codec.Class, next, basis []byte, rest []int8) {
	n := len(next) / c.Width()
	for i := range n {
		context, d := exponentContext(c, basis, i), difference(c, next, basis, i)
		if rest != nil {
			distance := rest[i]
			if distance < 0 { // mirrored: both sides teach the same counts
				distance, d = ^distance, -d
			}
			context += exponents * int(distance>>4)
		}
		t.add(context, d)
	}
}

// exponentContext is a context from an element's exponent, coarse at the ends.
func exponentContext(c codec.Class, row []byte, i int) int {
	switch c {
	case codec.F32:
		return clampInt(int(binary.LittleEndian.Uint32(row[4*i:])>>23&0xff)-100, 0, exponents-1)
	case codec.BF16:
		return clampInt(int(binary.LittleEndian.Uint16(row[2*i:])>>7&0xff)-100, 0, exponents-1)
	case codec.F16:
		return int(binary.LittleEndian.Uint16(row[2*i:]) >> 10 & 31)
	}
	return 0
}

func clampInt(x, low, high int) int { return max(low, min(x, high)) }
