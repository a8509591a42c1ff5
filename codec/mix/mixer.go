package mix

// Mixer weighs the logits of several contexts against each other, with a set of
// weights for each of a number of situations.
type Mixer struct {
	inputs  int
	weights []int32 // of 65536, set after set
	set     []int32 // of the last Mix
	last    []int32 // inputs of the last Mix
	p       uint32  // what the last Mix said
	rate    int32
}

// NewMixer returns a mixer of so many inputs and sets. Each input begins with
// the weight first, in 65536; rate says how fast weights learn: 1 to 64, 6 for
// data that differ, 2 for long streams.
func NewMixer(inputs, sets int, first, rate int32) *Mixer {
	m := &Mixer{inputs: inputs, weights: make([]int32, inputs*sets), rate: rate}
	for i := range m.weights {
		m.weights[i] = first
	}
	return m
}

// Mix returns the probability of a 1, in 65536, that the inputs amount to in
// the situation set. The inputs are kept, not copied, until Learn.
func (m *Mixer) Mix(set int, inputs []int32) uint32 {
	w := m.weights[set*m.inputs:][:m.inputs]
	inputs = inputs[:len(w)]
	var sum int64
	for i, x := range inputs {
		sum += int64(x) * int64(w[i])
	}
	m.set, m.last = w, inputs
	m.p = squash(sum >> 16)
	return m.p
}

// Learn moves the weights that the last Mix used towards those that would have
// foreseen bit.
func (m *Mixer) Learn(bit int) {
	e := int64((int32(bit)<<16 - int32(m.p)) * m.rate)
	w := m.set
	for i, x := range m.last[:len(w)] {
		w[i] += step(int64(x), e)
	}
}
