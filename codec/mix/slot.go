package mix

// Slot is an adaptive bit: the probability that a 1 comes next in one context,
// in the upper 22 bits, and how much it has seen, in the lower 10. It learns
// fast at first and slower the more it knows.
type Slot uint32

// NewSlot knows nothing.
const NewSlot Slot = 1 << 31

// MaxLimit is the most that a slot can count.
const MaxLimit = 1023

// rates[n] is the part of its error, in 65536, that a slot which has seen n
// bits takes over: 1/(n + 1.5).
var rates = makeRates()

func makeRates() (r [MaxLimit + 1]uint16) {
	for n := range r {
		r[n] = uint16(2 * 65536 / (2*n + 3))
	}
	return r
}

// P returns the probability of a 1 in 65536, 1 to 65535.
func (s Slot) P() uint32 { return max(uint32(s)>>16, 1) }

// Learn moves the slot towards bit, as one that has seen at most limit bits: the
// longest memory, 1 to MaxLimit.
func (s *Slot) Learn(bit int, limit uint32) { s.towards(goal(bit), limit) }

// Code codes a bit as [Coder.Code] does, by the slot alone, which then learns it
// as [Slot.Learn] has it.
func (s *Slot) Code(c *Coder, bit int, limit uint32) int {
	bit = c.Code(bit, s.P())
	s.Learn(bit, limit)
	return bit
}

// goal returns the probability that a slot would have if it knew bit.
func goal(bit int) int64 { return int64(bit)<<22 - int64(bit) }

func (s *Slot) towards(goal int64, limit uint32) {
	v := uint32(*s)
	n := v & MaxLimit
	p := int64(v >> 10)
	p += ((goal - p) * int64(rates[n])) >> 16
	if n < limit {
		n++
	}
	*s = Slot(uint32(p)<<10 | n)
}

// logit is Stretch of P.
func (s *Slot) logit() int64 { return int64(logistic.stretch[uint32(*s)>>16]) }

// Fill makes all slots new.
func Fill(slots []Slot) {
	for i := range slots {
		slots[i] = NewSlot
	}
}
