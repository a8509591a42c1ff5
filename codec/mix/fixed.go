package mix

// Mixer4 codes bits by four slots each; it is a [Mixer] that does all that one
// bit takes at once, written out for speed.
type Mixer4 struct {
	weights [][4]int32 // of 65536, by set
	rate    int32
}

// NewMixer4 returns a mixer with so many sets; see [NewMixer].
func NewMixer4(sets int, first, rate int32) *Mixer4 {
	return NewMixer4From(sets, [4]int32{first, first, first, first}, rate)
}

// NewMixer4From is [NewMixer4] with a first weight for each slot.
func NewMixer4From(sets int, first [4]int32, rate int32) *Mixer4 {
	m := &Mixer4{weights: make([][4]int32, sets), rate: rate}
	for i := range m.weights {
		m.weights[i] = first
	}
	return m
}

// Code codes a bit as [Coder.Code] does, with the probability that the slots
// amount to in the situation set; then mixer and slots learn it, the slots as
// such that have seen at most limit bits.
func (m *Mixer4) Code(c *Coder, set int, s *[4]*Slot, bit int, limit uint32) int {
	w := &m.weights[set]
	x0, x1, x2, x3 := s[0].logit(), s[1].logit(), s[2].logit(), s[3].logit()
	sum := x0*int64(w[0]) + x1*int64(w[1]) + x2*int64(w[2]) + x3*int64(w[3])
	p := squash(sum >> 16)
	bit = c.Code(bit, p)
	e := int64((int32(bit)<<16 - int32(p)) * m.rate)
	w[0] += step(x0, e)
	w[1] += step(x1, e)
	w[2] += step(x2, e)
	w[3] += step(x3, e)
	goal := goal(bit)
	s[0].towards(goal, limit)
	s[1].towards(goal, limit)
	s[2].towards(goal, limit)
	s[3].towards(goal, limit)
	return bit
}

// Mixer8 is [Mixer4] with eight slots for each bit.
type Mixer8 struct {
	weights [][8]int32 // of 65536, by set
	rate    int32
}

// NewMixer8 returns a mixer with so many sets; see [NewMixer].
func NewMixer8(sets int, first, rate int32) *Mixer8 {
	m := &Mixer8{weights: make([][8]int32, sets), rate: rate}
	for i := range m.weights {
		m.weights[i] = [8]int32{first, first, first, first, first, first, first, first}
	}
	return m
}

// Code is as [Mixer4.Code].
func (m *Mixer8) Code(c *Coder, set int, s *[8]*Slot, bit int, limit uint32) int {
	w := &m.weights[set]
	x0, x1, x2, x3 := s[0].logit(), s[1].logit(), s[2].logit(), s[3].logit()
	x4, x5, x6, x7 := s[4].logit(), s[5].logit(), s[6].logit(), s[7].logit()
	sum := x0*int64(w[0]) + x1*int64(w[1]) + x2*int64(w[2]) + x3*int64(w[3])
	sum += x4*int64(w[4]) + x5*int64(w[5]) + x6*int64(w[6]) + x7*int64(w[7])
	p := squash(sum >> 16)
	bit = c.Code(bit, p)
	e := int64((int32(bit)<<16 - int32(p)) * m.rate)
	w[0] += step(x0, e)
	w[1] += step(x1, e)
	w[2] += step(x2, e)
	w[3] += step(x3, e)
	w[4] += step(x4, e)
	w[5] += step(x5, e)
	w[6] += step(x6, e)
	w[7] += step(x7, e)
	goal := goal(bit)
	s[0].towards(goal, limit)
	s[1].towards(goal, limit)
	s[2].towards(goal, limit)
	s[3].towards(goal, limit)
	s[4].towards(goal, limit)
	s[5].towards(goal, limit)
	s[6].towards(goal, limit)
	s[7].towards(goal, limit)
	return bit
}

// step is how far an error e, times the rate, moves the weight of an input x.
func step(x, e int64) int32 { return int32((x*e + 1<<17) >> 18) }
