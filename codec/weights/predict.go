package weights

import (
	"math/bits"
	"slices"
)

const (
	maxTaps    = 10
	tapBits    = 20 // behind the point of a tap's weight
	learnShift = 7  // weights go 1/128 of the way that would undo an error
	guessBits  = 24 // of numbers of the highest exponent, see linear
	// maxNumber is what numbers are held within, so that sums of squares fit.
	maxNumber = 1 << 27
	// firstHistory is how many numbers are remembered at first.
	firstHistory = 1 << 12
	sureSteps    = 16
)

// predictor foretells the numbers of an array from those before: the last two,
// those above, and those one to four periods back. Arrays have periods where a
// network sees the same thing several times, as a chess network does for each
// place of a king. It is a normalised least-mean-squares filter (B. Widrow and
// M. Hoff, "Adaptive switching circuits", 1960; M. Bellanger, "Adaptive Digital
// Filters", section 4) in integers.
type predictor struct {
	history []int32 // a ring, its length a power of two
	most    int     // the length it may grow to
	at      int     // numbers seen
	lags    [maxTaps]int
	weights [maxTaps]int64
	inputs  [maxTaps]int64
	taps    int
	guess   int64
	miss    uint64 // average error, with fraction bits
}

// begin starts an array of rows of cols with a period, both in elements.
func (p *predictor) begin(cols, period int) {
	if p.history == nil {
		p.history = make([]int32, firstHistory)
	}
	p.most = max(1<<bits.Len(uint(max(4*period, 2*cols, 2)+1)), len(p.history))
	p.at, p.taps, p.miss = 0, 0, 0
	for k := 1; k <= 4; k++ {
		p.tap(k*period, 1<<(tapBits-3))
	}
	p.tap(1, 0)
	p.tap(2, 0)
	p.tap(cols, 0)
	p.tap(2*cols, 0)
	if cols > 2 {
		p.tap(cols-1, 0)
		p.tap(cols+1, 0)
	}
}

// tap listens to the number lag elements before, unless one does already.
func (p *predictor) tap(lag int, weight int64) {
	if slices.Contains(p.lags[:p.taps], lag) {
		return
	}
	p.lags[p.taps], p.weights[p.taps] = lag, weight
	p.taps++
}

// next returns the number that it expects.
func (p *predictor) next() int64 {
	mask := len(p.history) - 1
	var sum int64
	for i, lag := range p.lags[:p.taps] {
		x := int64(0)
		if lag <= p.at {
			x = int64(p.history[(p.at-lag)&mask])
		}
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
	p.miss += distance(e, 0)<<fraction>>5 - p.miss>>5
	if p.at == len(p.history) && p.at < p.most {
		p.history = append(p.history, make([]int32, p.at)...)
	}
	p.history[p.at&(len(p.history)-1)] = int32(v)
	p.at++
}

// lean says how surely a number will be near what is foretold, 0 if not at all,
// up to 15 the surer, and its sign: 1 if it will be negative.
func (p *predictor) lean() (sure, sign int) {
	// Steps of half a bit of the ratio to the average error, from 1/8 up.
	ratio := (level(distance(p.guess, 0)<<fraction) - level(p.miss)) / 2
	return min(max(ratio+6, 0), sureSteps-1), signBit(p.guess)
}

// outlook returns the magnitude to expect: what is foretold and its error, as
// legs of a right angle, about.
func (p *predictor) outlook() uint64 {
	a, b := distance(p.guess, 0)<<fraction, p.miss
	if a < b {
		a, b = b, a
	}
	return a + b/4
}
