package codec

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// What the models of numbers are tuned by. Values are part of the format.
const (
	treeNodes = 256  // of 8 binary decisions, from 1
	averages  = 128  // that are told apart
	slotLimit = 1000 // bits that a slot remembers
	learnRate = 2    // of mixers
	// evenCount is how many bits the slots of mantissas begin as if they had
	// seen, as many ones as zeros: nearly all mantissas are so.
	evenCount = 8
	quick     = 2 // a quick average goes 1/4 of the way to the next number
	slow      = 5 // a slow one 1/32
)

// tree holds the decisions that lead to 8 bits or fewer, the most significant
// first: node 1 decides the first, node 2n+b what follows b at node n.
type tree [treeNodes]mix.Slot

// symbols code numbers of up to 8 bits by trees in four contexts.
type symbols struct {
	plain  tree           // in any
	before [256]tree      // by what came before
	quick  [averages]tree // by the average of the last few
	slow   [averages]tree // by that of the last few dozen
	mixer  *mix.Mixer4    // a set for each bit
}

func (s *symbols) reset() {
	mix.Fill(s.plain[:])
	for i := range s.before {
		mix.Fill(s.before[i][:])
	}
	for i := range averages {
		mix.Fill(s.quick[i][:])
		mix.Fill(s.slow[i][:])
	}
	s.mixer = mix.NewMixer4From(8, [4]int32{36000, 6000, 12000, 12000}, learnRate)
}

// code codes the low n bits of v, 1 to 8.
func (s *symbols) code(c *mix.Coder, at context, v uint32, n int) uint32 {
	before, quick, slow := &s.before[at.before&255], &s.quick[at.quick&127], &s.slow[at.slow&127]
	node := uint32(1)
	for i := n - 1; i >= 0; i-- {
		k := node & 255
		slots := [4]*mix.Slot{&s.plain[k], &before[k], &quick[k], &slow[k]}
		node = node<<1 | uint32(s.mixer.Code(c, i, &slots, int(v>>i&1), slotLimit))
	}
	return node & (1<<n - 1)
}

// context is what came before a number.
type context struct{ before, quick, slow uint32 }

// numbers model the elements of one class in a chunk. They know nothing but the
// elements before.
type numbers struct {
	heads symbols // exponents, or the upper or only bytes of integers
	tails symbols // lower bytes of integers

	// Of floats:
	signs    [2][3][3]mix.Slot // by whether the exponent is 0 and the two signs before
	mantissa [256][8]mix.Slot  // a tree of its first three bits, by the exponent
	rest     [256][8]mix.Slot  // the bits below, by the exponent and how many follow
	blank    mix.Slot          // whether all that follows a head without exponent is 0
}

// fillEven makes slots that have seen evenCount bits, as many ones as zeros.
func fillEven(slots []mix.Slot) {
	for i := range slots {
		slots[i] = mix.NewSlot + evenCount
	}
}

// decide codes one bit by one slot.
func decide(c *mix.Coder, s *mix.Slot, bit uint32) uint32 {
	return uint32(s.Code(c, int(bit), slotLimit))
}

// floats codes the upper halves of floats, or all of those of 16 bits: v holds
// their sign, exponent and first mantissa bits. low, nil if there is none,
// holds the 16 bits that follow each; only those of exponent 0 are coded here.
// A decoder fills both.
func (m *numbers) floats(c *mix.Coder, v, low []uint16, exponent, mantissa int) {
	m.heads.reset()
	for i := range m.signs {
		for j := range m.signs[i] {
			mix.Fill(m.signs[i][j][:])
		}
	}
	for i := range m.mantissa {
		fillEven(m.mantissa[i][:])
		fillEven(m.rest[i][:])
	}
	m.blank = mix.NewSlot
	var fast, steady average
	var before, left, further uint32
	for i, x := range v {
		u := uint32(x)
		at := context{before, uint32(fast) >> 7, uint32(steady) >> 7}
		e := m.heads.code(c, at, u>>mantissa&(1<<exponent-1), exponent)
		if i == 0 {
			fast, steady = average(e<<averageBits), average(e<<averageBits)
		}
		before = e
		fast.note(e, quick)
		steady.note(e, slow)
		sign := decide(c, &m.signs[min(e, 1)][left][further], u>>(exponent+mantissa))
		further, left = left, 1+sign
		u = sign<<(exponent+mantissa) | e<<mantissa | m.fraction(c, e, u, mantissa)
		v[i] = uint16(u)
		if e == 0 && low != nil {
			low[i] = uint16(m.beyond(c, uint32(low[i])))
		}
	}
}

// fraction codes the low n bits of u, the first of a mantissa.
func (m *numbers) fraction(c *mix.Coder, e, u uint32, n int) uint32 {
	node := uint32(1)
	for n > 0 && node < 8 {
		n--
		node = node<<1 | decide(c, &m.mantissa[e][node&7], u>>n&1)
	}
	out := node &^ 8
	for n > 0 {
		n--
		out = out<<1 | decide(c, &m.rest[e][n&7], u>>n&1)
	}
	return out
}

// beyond codes the 16 low bits of a float without exponent.
func (m *numbers) beyond(c *mix.Coder, low uint32) uint32 {
	blank := uint32(0)
	if low == 0 {
		blank = 1
	}
	if decide(c, &m.blank, blank) == 1 {
		return 0
	}
	return c.Bits(low, 16)
}

// bytes codes bytes as signed numbers.
func (m *numbers) bytes(c *mix.Coder, v []byte) {
	m.heads.reset()
	var s sizes
	for i, x := range v {
		v[i] = byte(m.heads.code(c, s.context(), uint32(x), 8))
		s.note(int32(int8(v[i])))
	}
}

// words codes signed numbers of 16 bits.
func (m *numbers) words(c *mix.Coder, v []uint16) {
	m.heads.reset()
	m.tails.reset()
	var s sizes
	for i, x := range v {
		at := s.context()
		head := m.heads.code(c, at, uint32(x)>>8, 8)
		at.slow, at.before = at.before, head
		v[i] = uint16(head<<8 | m.tails.code(c, at, uint32(x)&255, 8))
		s.note(int32(int16(v[i])))
	}
}

// averageBits are behind the point of an average.
const averageBits = 8

// average follows numbers of up to 16 bits.
type average uint32

func (a *average) note(v uint32, shift int) {
	*a += average(int32(v<<averageBits-uint32(*a)) >> shift)
}

// step returns the logarithm of an average in quarter bits, about: one of
// averages.
func (a average) step() uint32 {
	n := bits.Len32(uint32(a))
	if n < 3 {
		return uint32(a)
	}
	return uint32(4*n) + uint32(a)>>(n-3)&3
}

// sizes follow how large integers are.
type sizes struct {
	last         uint32 // twice the logarithm of the last one, odd if it was negative
	fast, steady average
}

func (s *sizes) context() context { return context{s.last, s.fast.step(), s.steady.step()} }

func (s *sizes) note(v int32) {
	sign, mag := uint32(0), uint32(v)
	if v < 0 {
		sign, mag = 1, uint32(-v)
	}
	s.last = uint32(bits.Len32(mag))<<1 | sign
	s.fast.note(mag, quick)
	s.steady.note(mag, slow)
}
