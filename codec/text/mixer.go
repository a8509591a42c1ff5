package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

const (
	inputs     = contexts + 5 // matches, order 1 and a constant beside the contexts
	firstSets  = 16 * 16      // by what the matches say
	secondSets = 256 * 8      // by the last byte and the bit's number
	finalSets  = 16 * 16

	firstWeight = 65536 * 13 / 100
	// The rate at which weights learn falls by one with every bit.
	rateBits  = 15
	firstRate = 22 << rateBits
	lastRate  = 10 << rateBits
	finalRate = 6

	// An error of less, in 65536, teaches nothing and is not worth the time.
	leastError = 24
)

type weights [inputs]int32

// combiner mixes the inputs twice, with sets of weights selected by different
// things, and then both outcomes (gated logistic mixing in two layers, as in
// paq8; M. Mahoney, "Data Compression Explained", section 4.3.4).
type combiner struct {
	in            [inputs]int64
	first, second []weights
	final         [finalSets][2]int32

	a, b   *weights // that the last mix used
	f      *[2]int32
	xa, xb int32  // the logits they gave
	pa, pb uint32 // and the probabilities
	pf     uint32
	rate   int64
}

func (c *combiner) init() {
	c.first, c.second = make([]weights, firstSets), make([]weights, secondSets)
	for _, sets := range [][]weights{c.first, c.second} {
		for i := range sets {
			for j := range sets[i] {
				sets[i][j] = firstWeight
			}
		}
	}
	for i := range c.final {
		c.final[i] = [2]int32{1 << 15, 1 << 15}
	}
	c.rate = firstRate
}

// mix returns the logit of a 1.
func (c *combiner) mix(first, second, final int) int32 {
	c.a, c.b, c.f = &c.first[first], &c.second[second], &c.final[final]
	c.xa, c.xb = c.a.dot(&c.in), c.b.dot(&c.in)
	c.pa, c.pb = mix.Squash(c.xa), mix.Squash(c.xb)
	x := clamp((int64(c.xa)*int64(c.f[0]) + int64(c.xb)*int64(c.f[1])) >> 16)
	c.pf = mix.Squash(x)
	return x
}

func (c *combiner) learn(bit int) {
	if c.rate > lastRate {
		c.rate--
	}
	target := int64(bit) << 16
	c.a.learn(&c.in, (target-int64(c.pa))*(c.rate>>rateBits))
	c.b.learn(&c.in, (target-int64(c.pb))*(c.rate>>rateBits))
	if e := target - int64(c.pf); e > leastError || e < -leastError {
		e *= finalRate
		c.f[0] += int32((int64(c.xa)*e + 1<<17) >> 18)
		c.f[1] += int32((int64(c.xb)*e + 1<<17) >> 18)
	}
}

func clamp(x int64) int32 { return int32(min(max(x, -mix.MaxLogit), mix.MaxLogit)) }

// dot is written out because it is most of the time that coding takes.
func (w *weights) dot(in *[inputs]int64) int32 {
	s := in[0]*int64(w[0]) + in[1]*int64(w[1]) + in[2]*int64(w[2]) + in[3]*int64(w[3])
	t := in[4]*int64(w[4]) + in[5]*int64(w[5]) + in[6]*int64(w[6]) + in[7]*int64(w[7])
	s += in[8]*int64(w[8]) + in[9]*int64(w[9]) + in[10]*int64(w[10]) + in[11]*int64(w[11])
	t += in[12]*int64(w[12]) + in[13]*int64(w[13]) + in[14]*int64(w[14]) + in[15]*int64(w[15])
	return clamp((s + t) >> 16)
}

func (w *weights) learn(in *[inputs]int64, e int64) {
	const half, shift = 1 << 17, 18
	w[0] += int32((in[0]*e + half) >> shift)
	w[1] += int32((in[1]*e + half) >> shift)
	w[2] += int32((in[2]*e + half) >> shift)
	w[3] += int32((in[3]*e + half) >> shift)
	w[4] += int32((in[4]*e + half) >> shift)
	w[5] += int32((in[5]*e + half) >> shift)
	w[6] += int32((in[6]*e + half) >> shift)
	w[7] += int32((in[7]*e + half) >> shift)
	w[8] += int32((in[8]*e + half) >> shift)
	w[9] += int32((in[9]*e + half) >> shift)
	w[10] += int32((in[10]*e + half) >> shift)
	w[11] += int32((in[11]*e + half) >> shift)
	w[12] += int32((in[12]*e + half) >> shift)
	w[13] += int32((in[13]*e + half) >> shift)
	w[14] += int32((in[14]*e + half) >> shift)
	w[15] += int32((in[15]*e + half) >> shift)
}
