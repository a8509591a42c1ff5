package weights_test

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/dunlin-mesh/dunlin/codec"
)

// classNames are the classes that models code.
var classNames = map[codec.Class]string{
	codec.Int8: "i8", codec.I16: "i16", codec.I32: "i32", codec.I64: "i64",
	codec.F16: "f16", codec.BF16: "bf16", codec.F32: "f32", codec.F64: "f64",
}

// allClasses are the keys of classNames in order.
var allClasses = []codec.Class{
	codec.Int8, codec.I16, codec.I32, codec.I64, codec.F16, codec.BF16, codec.F32, codec.F64,
}

// source makes numbers that are the same everywhere and for ever (xorshift64*).
type source uint64

func (s *source) next() uint64 {
	x := uint64(*s)
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*s = source(x)
	return x * 0x2545f4914f6cdd1d
}

// below returns a number from 0 to n-1.
func (s *source) below(n int) int { return int(s.next() >> 33 % uint64(n)) }

// bell returns a number that is about normally distributed: the sum of eight
// even ones, with a standard deviation of 0.8 · 2^width.
func (s *source) bell(width int) int64 {
	sum := int64(0)
	for range 8 {
		sum += int64(s.next()) >> (64 - width)
	}
	return sum
}

// elements turns numbers with 24 bits behind the point into elements of a class:
// floats truncated, integers with as many bits behind the point as they have
// room for.
func elements(class codec.Class, numbers []int64) []byte {
	var out []byte
	for _, x := range numbers {
		switch class {
		case codec.Int8:
			out = append(out, byte(x>>16))
		case codec.I16:
			out = binary.LittleEndian.AppendUint16(out, uint16(x>>12))
		case codec.I32:
			out = binary.LittleEndian.AppendUint32(out, uint32(x))
		case codec.I64:
			out = binary.LittleEndian.AppendUint64(out, uint64(x<<8))
		case codec.F16:
			out = binary.LittleEndian.AppendUint16(out, uint16(float(x, 5, 10)))
		case codec.BF16:
			out = binary.LittleEndian.AppendUint16(out, uint16(float(x, 8, 7)))
		case codec.F32:
			out = binary.LittleEndian.AppendUint32(out, uint32(float(x, 8, 23)))
		case codec.F64:
			out = binary.LittleEndian.AppendUint64(out, float(x, 11, 52))
		}
	}
	return out
}

// float returns the bits of x / 2^24 as a float with fields of so many bits.
func float(x int64, exponent, mantissa int) uint64 {
	if x == 0 {
		return 0
	}
	sign := uint64(0)
	if x < 0 {
		sign, x = 1, -x
	}
	n := bits.Len64(uint64(x))
	e := n - 1 - 24 + 1<<(exponent-1) - 1
	frac := uint64(x)
	if n-1 > mantissa {
		frac >>= n - 1 - mantissa
	} else {
		frac <<= mantissa - (n - 1)
	}
	if e <= 0 {
		frac >>= 1 - e
		return sign<<(exponent+mantissa) | frac
	}
	return sign<<(exponent+mantissa) | uint64(e)<<mantissa | frac&(1<<mantissa-1)
}

// array is what a test codes.
type array struct {
	cols, start int
	old, next   []byte // old is nil without basis
	rest        []int8
	period      int
	sparse      bool // coded as one
}

// Kinds of arrays, as they turn up in files.
const (
	kindBased    = "based"    // every element moved a little
	kindSparse   = "sparse"   // one in 20 moved
	kindAlone    = "alone"    // no basis
	kindPeriodic = "periodic" // no basis, but like itself some rows before
	kindZeros    = "zeros"    // the smaller half of each row pruned
	kindRest     = "rest"     // hints of what rounding took from the basis
	kindNoise    = "noise"    // any bits at all against any others
)

var allKinds = []string{kindBased, kindSparse, kindAlone, kindPeriodic, kindZeros, kindRest, kindNoise}

// makeArray makes an array of n elements.
func makeArray(class codec.Class, kind string, n int) array {
	s := source(uint64(n)*2654435761 + uint64(class)<<40 + 1)
	const cols = 48
	a := array{cols: cols, start: 5}
	rows := make([]int, n/cols+2) // their scales
	for i := range rows {
		rows[i] = 20 + s.below(3)
	}
	row := func(i int) int { return (i + a.start) / cols }
	quiet := 9 // how many bits less a change has
	if class == codec.Int8 {
		quiet = 5
	}
	old, next := make([]int64, n), make([]int64, n)
	for i := range old {
		old[i] = s.bell(rows[row(i)])
		next[i] = old[i] + s.bell(rows[row(i)]-quiet)
	}
	switch kind {
	case kindSparse:
		for i := range next {
			if s.below(20) != 0 {
				next[i] = old[i]
			}
		}
	case kindPeriodic:
		a.period = 6 * cols
		for i := a.period; i < n; i++ {
			next[i] = next[i-a.period]*7/8 + s.bell(16)
		}
	case kindZeros:
		for at := 0; at < n; at += cols {
			var mags []int64
			for _, x := range old[at:min(at+cols, n)] {
				mags = append(mags, max(x, -x))
			}
			slices.Sort(mags)
			for i, x := range old[at:min(at+cols, n)] {
				next[at+i] = x
				if max(x, -x) < mags[len(mags)/2] {
					next[at+i] = 0
				}
			}
		}
	case kindRest:
		for i := range next {
			// The hint is where between two steps of 2^16 the sum lies.
			r := int8(s.next() >> 56)
			a.rest = append(a.rest, r)
			next[i] = (old[i]>>16 + (int64(r)+s.bell(6))>>8) << 16
			old[i] = old[i] >> 16 << 16
		}
	}
	a.old, a.next = elements(class, old), elements(class, next)
	switch kind {
	case kindAlone, kindPeriodic:
		a.old = nil
	case kindNoise:
		for i := range a.old {
			a.old[i], a.next[i] = byte(s.next()>>56), byte(s.next()>>56)
		}
	}
	return a
}
