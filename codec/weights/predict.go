package weights

import (
	"math/bits"
	"slices"
)

const (
	maxTaps = 10
	tapBits = 20 // behind the point of a tap's weight
	// MaxPeriod bounds the period of an array; four are remembered, 8 MiB.
	MaxPeriod  = 1 << 19
	maxNumber  = 1 << 27 // numbers are held within, so that sums of squares fit
	learnShift = 7       // weights go 1/128 of the way that would undo an error
)

// predictor foretells the numbers of an array from those before: the last two,
// those above, and those one to four periods back. Arrays have periods where a
// network sees the same thing several times, as a chess network does for each
// place of a king. It is a normalised least-mean-squares filter (B. Widrow and
// M. Hoff, 1960; M. Bellanger, "Adaptive Digital Filters", section 4) in
// integers.
type predictor struct {
	history []int32 // a ring, its length a power of two
	at      int
	lags    [maxTaps]int
	weights [maxTaps]int64
	inputs  [maxTaps]int64
	taps    int
	guess   int64
	miss    uint64 // average error, with fraction bits
}

// begin starts an array of rows of cols with a period, both in elements.
func (p *predictor) begin(cols, period int) {
	size := 1 << bits.Len(uint(max(4*period, 2*cols, 2)+1))
	if cap(p.history) < size {
		p.history = make([]int32, size)
	}
	p.history = p.history[:size]
	clear(p.history)
	p.at, p.taps, p.miss = 0, 0, 0
	tap := func(lag int, weight int64) {
		if slices.Contains(p.lags[:p.taps], lag) {
			return
		}
		p.lags[p.taps], p.weights[p.taps] = lag, weight
		p.taps++
	}
	for k := 1; k <= 4; k++ {
		tap(k*period, 1<<(tapBits-3))
	}
	tap(1, 0)
	tap(2, 0)
	tap(cols, 0)
	tap(2*cols, 0)
	if cols > 2 {
		tap(cols-1, 0)
		tap(cols+1, 0)
	}
}

// next returns the number that it expects.
func (p *predictor) next() int64 {
	mask := len(p.history) - 1
	var sum int64
	for i, lag := range p.lags[:p.taps] {
		x := int64(p.history[(p.at-lag)&mask])
		p.inputs[i] = x
		sum += x * p.weights[i]
	}
	p.guess = min(max((sum+1<<(tapBits-1))>>tapBits, -maxNumber), maxNumber)
	return p.guess
}

// learn takes the number that came.
func (p *predictor) learn(v int64) {
	v = min(max(v, -maxNumber), maxNumber)
	e := v - p.guess
	energy := int64(1)
	for _, x := range p.inputs[:p.taps] {
		energy += x * x
	}
	g := e << 28 / energy
	for i, x := range p.inputs[:p.taps] {
		w := p.weights[i] + g*x>>(28-tapBits+learnShift)
		p.weights[i] = min(max(w, -4<<tapBits), 4<<tapBits)
	}
	if e < 0 {
		e = -e
	}
	p.miss += uint64(e)<<fraction>>5 - p.miss>>5
	p.history[p.at&(len(p.history)-1)] = int32(v)
	p.at++
}

// linear returns an ordered number on a scale on which sums make sense: integers
// as they are, floats in units of 2^-24 of the highest exponent.
func (m *Model) linear(v int64) int64 {
	if !m.f.float {
		return v
	}
	mag := m.f.magnitude(v)
	e := int(mag >> m.f.mantissa & m.f.exponent)
	x := mag & (1<<m.f.mantissa - 1)
	if e > 0 {
		x |= 1 << m.f.mantissa
	}
	down := m.f.mantissa - 24 + m.p.Top - max(e, 1)
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

// lean says how surely a number will be near what is foretold: 0 if not at all,
// up to 15 the surer, and whether it will be negative.
func (p *predictor) lean() (sure int, negative bool) {
	g := p.guess
	if g < 0 {
		g, negative = -g, true
	}
	// Steps of half a bit of the ratio to the average error, from 1/8 up.
	ratio := (level(uint64(g)<<fraction) - level(p.miss)) / 2
	return min(max(ratio+6, 0), 15), negative
}

// outlook returns the magnitude to expect: what is foretold and its error, as
// legs of a right angle, about.
func (p *predictor) outlook() uint64 {
	a, b := uint64(max(p.guess, -p.guess))<<fraction, p.miss
	if a < b {
		a, b = b, a
	}
	return a + b/4
}
