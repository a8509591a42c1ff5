package delta

import (
	"context"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
)

// gainOne is the factor 1 in the units of gains.
const gainOne = 4096

// The classes whose rows can be scaled: F16 would need a conversion more, and
// gains little.
func scales(c codec.Class) bool { return c == codec.F32 || c == codec.F64 || c == codec.BF16 }

// factor returns what a gain multiplies by, exactly.
func factor(g int16) float64 { return float64(int(g)+gainOne) / gainOne }

// scaleRow writes each element of in times a factor to out, rounded to nearest,
// ties to even; infinities and what is no number stay. It is one multiplication
// in float64 and one rounding, so the bits are the same on every architecture.
func scaleRow(out, in []byte, class codec.Class, gain int16) {
	g := factor(gain)
	le := binary.LittleEndian
	switch class {
	case codec.F32:
		for i := 0; i+3 < len(in); i += 4 {
			b := le.Uint32(in[i:])
			if b>>23&0xff != 0xff {
				b = math.Float32bits(float32(float64(math.Float32frombits(b)) * g))
			}
			le.PutUint32(out[i:], b)
		}
	case codec.F64:
		for i := 0; i+7 < len(in); i += 8 {
			b := le.Uint64(in[i:])
			if b>>52&0x7ff != 0x7ff {
				b = math.Float64bits(math.Float64frombits(b) * g)
			}
			le.PutUint64(out[i:], b)
		}
	case codec.BF16:
		for i := 0; i+1 < len(in); i += 2 {
			b := uint32(le.Uint16(in[i:])) << 16
			if b>>23&0xff != 0xff {
				b = math.Float32bits(float32(float64(math.Float32frombits(b)) * g))
				b += 0x7fff + b>>16&1
			}
			le.PutUint16(out[i:], uint16(b>>16))
		}
	default:
		copy(out, in)
	}
}

// findGains returns the factors by which least squares makes the rows of old
// resemble those of next, nil if that does not pay.
func findGains(ctx context.Context, old, next align.Matrix) ([]int16, error) {
	n := next.Cols * next.Block
	if !scales(next.Class) || n < minGainElements || next.Rows > maxTableBytes/8 {
		return nil, nil
	}
	size := n * next.Class.Width()
	a, b, scaled, diff := make([]byte, size), make([]byte, size), make([]byte, size), make([]byte, size)
	gains := make([]int16, next.Rows)
	var before, after int64
	for i := range gains {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := readFull(next.R, a, next.Offset+int64(i)*int64(size)); err != nil {
			return nil, newError(err)
		}
		if err := readFull(old.R, b, old.Offset+int64(i)*int64(size)); err != nil {
			return nil, oldError(err)
		}
		gains[i] = gainOf(a, b, next.Class)
		skipZeros(a, b, next.Class)
		before += distance(diff, a, b, next.Class)
		scaleRow(scaled, b, next.Class, gains[i])
		after += distance(diff, a, scaled, next.Class) + gainBits
		// Rows are much alike in this: the first ones tell.
		if i == 16 && after >= before {
			return nil, nil
		}
	}
	if after >= before-before/200 {
		return nil, nil
	}
	return gains, nil
}

const (
	minGainElements = 16
	gainBits        = 14 // what a factor takes, about
)

// skipZeros makes old ones equal where the new element is zero: pruned weights
// say nothing of a factor.
func skipZeros(next, old []byte, class codec.Class) {
	width := class.Width()
	for i := 0; i+width <= len(next); i += width {
		if value(next[i:], class) == 0 {
			copy(old[i:i+width], next[i:])
		}
	}
}

// gainOf returns the factor of least squares for a row.
func gainOf(next, old []byte, class codec.Class) int16 {
	var xy, xx float64
	width := class.Width()
	for i := 0; i+width <= len(next); i += width {
		x, y := value(old[i:], class), value(next[i:], class)
		if y == 0 {
			continue // pruned, not scaled
		}
		xy += float64(x * y)
		xx += float64(x * x)
	}
	g := math.RoundToEven((xy/xx - 1) * gainOne)
	if !(g >= math.MinInt16 && g <= math.MaxInt16) {
		return 0
	}
	return int16(g)
}

// value returns an element of a class that scales.
func value(p []byte, class codec.Class) float64 {
	le := binary.LittleEndian
	switch class {
	case codec.F32:
		return float64(math.Float32frombits(le.Uint32(p)))
	case codec.F64:
		return math.Float64frombits(le.Uint64(p))
	}
	return float64(math.Float32frombits(uint32(le.Uint16(p)) << 16))
}

// distance returns about how many bits tell the elements of a from those of b;
// diff is as long, for scratch.
func distance(diff, a, b []byte, class codec.Class) (sum int64) {
	width := class.Width()
	subtract(diff, a, b, width, isFloat(class))
	var p [8]byte
	for at := 0; at+width <= len(diff); at += width {
		copy(p[:], diff[at:at+width])
		sum += int64(bits.Len64(binary.LittleEndian.Uint64(p[:])))
	}
	return sum
}
