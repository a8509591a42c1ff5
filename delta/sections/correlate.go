package sections

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
)

// correlator adds up the autocorrelations of segments of an array, by the power
// spectrum (Wiener-Khinchin): of the logarithm of the magnitude, the real part
// of the signal, and of that times the sign, the imaginary part.
type correlator struct {
	count, maxLag int
	segments      int
	wave          []complex128 // exp(-2 pi i k / len(signal)), half a turn
	signal        []complex128 // a power of two, at least count+maxLag long
	power         []float64
}

func newCorrelator(count, maxLag int) *correlator {
	size := 1 << bits.Len(uint(count+maxLag-1))
	c := &correlator{
		count: count, maxLag: maxLag,
		wave: make([]complex128, size/2), signal: make([]complex128, size), power: make([]float64, size),
	}
	for k := range c.wave {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / float64(size))
		c.wave[k] = complex(cos, sin)
	}
	return c
}

// add adds the segment in data, of count elements.
func (c *correlator) add(data []byte, class codec.Class) {
	clear(c.signal)
	signal := c.signal[:c.count]
	sum, squares := 0.0, 0.0
	for i := range signal {
		size, negative := magnitude(data[i*class.Width():], class)
		sum += size
		squares += float64(size * size)
		signal[i] = complex(size, negative)
	}
	n := float64(c.count)
	mean := sum / n
	deviation := math.Sqrt(max(squares/n-float64(mean*mean), 0))
	if deviation < 1e-9 {
		return
	}
	// Outliers, zeros above all, are drawn in; so both parts are made anew.
	var sums, powers [2]float64
	for i, z := range signal {
		size := min(max((real(z)-mean)/deviation, -2), 2)
		value := float64((size + 2) * imag(z))
		signal[i] = complex(size, value)
		sums[0], sums[1] = sums[0]+size, sums[1]+value
		powers[0], powers[1] = powers[0]+float64(size*size), powers[1]+float64(value*value)
	}
	var scale [2]float64
	for k := range scale {
		sums[k] /= n
		scale[k] = 1 / max(math.Sqrt(max(powers[k]/n-float64(sums[k]*sums[k]), 0)), 1e-9)
	}
	for i, z := range signal {
		signal[i] = complex(float64((real(z)-sums[0])*scale[0]), float64((imag(z)-sums[1])*scale[1]))
	}
	transform(c.signal, c.wave)
	for i, z := range c.signal {
		c.power[i] += float64(real(z)*real(z)) + float64(imag(z)*imag(z))
	}
	c.segments++
}

// correlations returns the mean correlation at each lag up to maxLag.
func (c *correlator) correlations() []float64 {
	out := make([]float64, c.maxLag+1)
	if c.segments == 0 {
		return out
	}
	for i, p := range c.power {
		c.signal[i] = complex(p, 0)
	}
	transform(c.signal, c.wave)
	for lag := range out {
		terms := float64(len(c.signal)) * 2 * float64(c.segments*(c.count-lag))
		out[lag] = real(c.signal[lag]) / terms
	}
	return out
}

// transform is the discrete Fourier transform in place (Cooley and Tukey 1965,
// radix 2). Products are rounded before they are added, so that no architecture
// fuses them.
func transform(x, wave []complex128) {
	shift := 64 - uint(bits.TrailingZeros(uint(len(x))))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < len(x); half *= 2 {
		step := len(wave) / half
		for at := 0; at < len(x); at += 2 * half {
			low, high := x[at:at+half], x[at+half:at+2*half]
			for k := range low {
				w, b := wave[k*step], high[k]
				re := float64(real(w)*real(b)) - float64(imag(w)*imag(b))
				im := float64(real(w)*imag(b)) + float64(imag(w)*real(b))
				t := complex(re, im)
				high[k] = low[k] - t
				low[k] += t
			}
		}
	}
}

// magnitude returns the logarithm to base 2, from bit patterns, piecewise
// linear, of the first element of data, and its sign as -1, 0 or 1.
func magnitude(data []byte, class codec.Class) (size, sign float64) {
	var integer int64
	switch class {
	case codec.F16:
		v := binary.LittleEndian.Uint16(data)
		return logarithm(uint64(v&0x7fff), v>>15 != 0, 10, 31)
	case codec.BF16:
		v := binary.LittleEndian.Uint16(data)
		return logarithm(uint64(v&0x7fff), v>>15 != 0, 7, 255)
	case codec.F32:
		v := binary.LittleEndian.Uint32(data)
		return logarithm(uint64(v&0x7fffffff), v>>31 != 0, 23, 255)
	case codec.F64:
		v := binary.LittleEndian.Uint64(data)
		return logarithm(v&(1<<63-1), v>>63 != 0, 52, 2047)
	case codec.I16:
		integer = int64(int16(binary.LittleEndian.Uint16(data)))
	case codec.I32:
		integer = int64(int32(binary.LittleEndian.Uint32(data)))
	case codec.I64:
		integer = int64(binary.LittleEndian.Uint64(data))
	default:
		integer = int64(int8(data[0]))
	}
	// One is added, so that zero has a logarithm.
	v := math.Float64bits(max(float64(integer), -float64(integer)) + 1)
	size, sign = logarithm(v, integer < 0, 52, 2047)
	if integer == 0 {
		sign = 0
	}
	return size, sign
}

// logarithm takes the bits of a floating point number without its sign.
func logarithm(v uint64, negative bool, mantissa uint, special uint64) (size, sign float64) {
	if v == 0 || v>>mantissa >= special {
		return 0, 0
	}
	sign = 1
	if negative {
		sign = -1
	}
	return float64(v) / float64(uint64(1)<<mantissa), sign
}
