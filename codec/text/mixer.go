package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

// combiner mixes the inputs with a set of weights from each of several
// selectors, and what they amount to once more.
type combiner struct {
	in      [inputs]int32
	weights [selectors][]int32
	at      [selectors]*[inputs]int32
	out     [selectors]int32  // logits
	p       [selectors]uint32 // and as probabilities
	final   []int32
	fat     *[selectors]int32
	pf      uint32
}

const (
	rateFirst = 6
	rateFinal = 2
)

func (c *combiner) init(sets [selectors]int) {
	for s, n := range sets {
		w := make([]int32, n*inputs)
		for i := range w {
			w[i] = 65536 * 3 / 10
		}
		c.weights[s] = w
	}
	c.final = make([]int32, 256*selectors)
	for i := range c.final {
		c.final[i] = 65536 / selectors
	}
}

// mix returns the logit of a 1.
func (c *combiner) mix(sets [selectors]int, fset int) int32 {
	var total int64
	c.fat = (*[selectors]int32)(c.final[fset*selectors:])
	for s := range selectors {
		w := (*[inputs]int32)(c.weights[s][sets[s]*inputs:])
		c.at[s] = w
		var sum int64
		for i := range inputs {
			sum += int64(c.in[i]) * int64(w[i])
		}
		x := int32(min(max(sum>>16, -mix.MaxLogit), mix.MaxLogit))
		c.out[s] = x
		c.p[s] = mix.Squash(x)
		total += int64(x) * int64(c.fat[s])
	}
	x := int32(min(max(total>>16, -mix.MaxLogit), mix.MaxLogit))
	c.pf = mix.Squash(x)
	return x
}

func (c *combiner) learn(bit int) {
	target := int32(bit) << 16
	ef := (target - int32(c.pf)) * rateFinal
	for s := range selectors {
		e := (target - int32(c.p[s])) * rateFirst
		w := c.at[s]
		for i := range inputs {
			w[i] += int32((int64(c.in[i])*int64(e) + 1<<17) >> 18)
		}
		c.fat[s] += int32((int64(c.out[s])*int64(ef) + 1<<17) >> 18)
	}
}
