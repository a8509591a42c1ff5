package mix

// Mixer4 is a [Mixer] of 4 inputs, faster because that is known.
type Mixer4 struct {
	weights [][4]int32 // of 65536, by set
	p       uint32     // what the last Mix said
	rate    int32
}

// NewMixer4 returns a mixer with so many sets; see [NewMixer].
func NewMixer4(sets int, first, rate int32) *Mixer4 {
	m := &Mixer4{weights: make([][4]int32, sets), rate: rate}
	for i := range m.weights {
		for k := range m.weights[i] {
			m.weights[i][k] = first
		}
	}
	return m
}

// Mix returns the probability of a 1, in 65536, that the inputs amount to in
// the situation set.
func (m *Mixer4) Mix(set int, x *[4]int32) uint32 {
	w := &m.weights[set]
	sum := int64(0)
	for i := range x {
		sum += int64(x[i]) * int64(w[i])
	}
	m.p = Squash(int32(min(max(sum>>16, -MaxLogit), MaxLogit)))
	return m.p
}

// Learn moves the weights that the last Mix, of the same set and inputs, used
// towards those that would have foreseen bit.
func (m *Mixer4) Learn(set int, x *[4]int32, bit int) {
	w := &m.weights[set]
	e := int64((int32(bit)<<16 - int32(m.p)) * m.rate)
	for i := range x {
		w[i] += int32((int64(x[i])*e + 1<<17) >> 18)
	}
}

// Mixer8 is a [Mixer] of 8 inputs, faster because that is known.
type Mixer8 struct {
	weights [][8]int32 // of 65536, by set
	p       uint32     // what the last Mix said
	rate    int32
}

// NewMixer8 returns a mixer with so many sets; see [NewMixer].
func NewMixer8(sets int, first, rate int32) *Mixer8 {
	m := &Mixer8{weights: make([][8]int32, sets), rate: rate}
	for i := range m.weights {
		for k := range m.weights[i] {
			m.weights[i][k] = first
		}
	}
	return m
}

// Mix returns the probability of a 1, in 65536, that the inputs amount to in
// the situation set.
func (m *Mixer8) Mix(set int, x *[8]int32) uint32 {
	w := &m.weights[set]
	sum := int64(0)
	for i := range x {
		sum += int64(x[i]) * int64(w[i])
	}
	m.p = Squash(int32(min(max(sum>>16, -MaxLogit), MaxLogit)))
	return m.p
}

// Learn moves the weights that the last Mix, of the same set and inputs, used
// towards those that would have foreseen bit.
func (m *Mixer8) Learn(set int, x *[8]int32, bit int) {
	w := &m.weights[set]
	e := int64((int32(bit)<<16 - int32(m.p)) * m.rate)
	for i := range x {
		w[i] += int32((int64(x[i])*e + 1<<17) >> 18)
	}
}
