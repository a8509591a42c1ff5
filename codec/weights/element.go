package weights

import (
	"encoding/binary"

	"github.com/dunlin-mesh/dunlin/codec"
)

// format says how the bits of an element of a class are read.
type format struct {
	width    int // bytes
	float    bool
	mantissa int   // bits of it, floats only
	exponent int64 // mask of the exponent's field, floats only

	// In averages differences of more than most count as that, and lose as many
	// bits as drop, so that they fit.
	most uint64
	drop int
}

func formatOf(c codec.Class) format {
	f := format{width: c.Width(), most: 1 << (averageBits - fraction - reach)}
	switch c {
	case codec.F16:
		f.float, f.mantissa, f.exponent = true, 10, 0x1f
	case codec.BF16:
		f.float, f.mantissa, f.exponent = true, 7, 0xff
	case codec.F32:
		f.float, f.mantissa, f.exponent = true, 23, 0xff
	case codec.F64:
		f.float, f.mantissa, f.exponent = true, 52, 0x7ff
		f.most, f.drop = f.most<<20, 20
	case codec.I64:
		f.most = 1 << (averageBits - fraction) // all have the same scale
	}
	return f
}

// load reads the elements of src as numbers that are ordered as the elements
// are: integers as they are, floats by their bits, those of negative ones
// inverted but for the sign. Neighbouring numbers differ by one.
func (f *format) load(to []int64, src []byte) {
	switch f.width {
	case 1:
		for i := range to {
			to[i] = int64(int8(src[i]))
		}
	case 2:
		for i := range to {
			to[i] = int64(int16(binary.LittleEndian.Uint16(src[2*i:])))
		}
	case 4:
		for i := range to {
			to[i] = int64(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	case 8:
		for i := range to {
			to[i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
		}
	}
	if f.float {
		mask := int64(1)<<(8*f.width-1) - 1
		for i, v := range to {
			to[i] = v ^ v>>63&mask
		}
	}
}

// save is the inverse of load; it takes the low bits of each number.
func (f *format) save(dst []byte, from []int64) {
	flip := int64(0)
	if f.float {
		flip = int64(1)<<(8*f.width-1) - 1
	}
	switch f.width {
	case 1:
		for i, v := range from {
			dst[i] = byte(v)
		}
	case 2:
		for i, v := range from {
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(v^v>>63&flip))
		}
	case 4:
		for i, v := range from {
			binary.LittleEndian.PutUint32(dst[4*i:], uint32(v^v>>63&flip))
		}
	case 8:
		for i, v := range from {
			binary.LittleEndian.PutUint64(dst[8*i:], uint64(v^v>>63&flip))
		}
	}
}

// magnitude returns the bits of an ordered number without its sign.
func (f *format) magnitude(v int64) int64 {
	if f.float {
		return v ^ v>>63
	}
	if v < 0 {
		return -v
	}
	return v
}

// exp returns the exponent of an ordered number, 1 for subnormal ones, and 0
// for integers, whose steps are all alike.
func (f *format) exp(v int64) int {
	if !f.float {
		return 0
	}
	return int(max((v^v>>63)>>f.mantissa&f.exponent, 1))
}

// linear returns an ordered number on a scale on which sums make sense: integers
// as they are, floats in units of 2^-24 of the exponent top.
func (f *format) linear(v int64, top int) int64 {
	if !f.float {
		return v
	}
	mag := f.magnitude(v)
	e := int(mag >> f.mantissa & f.exponent)
	x := mag & (1<<f.mantissa - 1)
	if e > 0 {
		x |= 1 << f.mantissa
	}
	down := f.mantissa - 24 + top - max(e, 1)
	switch {
	case down >= 63:
		x = 0
	case down >= 0:
		x >>= down
	default:
		x <<= min(-down, 26)
	}
	if v < 0 {
		x = -x
	}
	return x
}
