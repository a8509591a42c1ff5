package text

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

const (
	maxMatch  = 400 // longest match told from longer ones
	longMatch = 32  // how far matches are compared at once
)

// match follows one place that is expected to go on as what is coded does.
type match struct {
	pos    int64 // of the byte expected next, -1 if none
	length int   // bytes that agreed in a row
	missed uint8 // the last eight expectations, 1 for wrong
	expect int   // the byte expected, with a leading 1: 256 to 511; 0 if none

	slots [16 * 16 * 4]mix.Slot // how often the expected bit came
	base  int                   // of the slots for this byte
	slot  *mix.Slot             // that the last bit used, nil if none
	bit   int                   // it foretold
}

// init makes a match new; long matches probably go on.
func (m *match) init() {
	m.pos = -1
	for i := range m.slots {
		l := uint32(i >> 6)
		p := uint32(65536 - 65536/(2*(l+2)))
		m.slots[i] = mix.Slot(p<<16 | 4)
	}
}

// update tells the match what byte came.
func (m *match) update(expect, b byte) {
	m.missed <<= 1
	if expect == b {
		m.length = min(m.length+1, maxMatch)
	} else {
		m.length = 0
		m.missed |= 1
	}
	m.pos++
}

// begin prepares for the bits of a byte of which expect is foretold.
func (m *match) begin(expect byte) {
	m.expect = 256 | int(expect)
	lately := 0
	if m.missed&3 != 0 {
		lately = 1
	}
	m.base = (lengthBucket(m.length)<<4 | min(bits.OnesCount8(m.missed), 7)<<1 | lately) << 2
}

// none prepares for a byte of which nothing is foretold.
func (m *match) none() { m.expect, m.base, m.slot = 0, 0, nil }

// input returns the logit that the match gives the next bit after those in c0, the
// byte so far with a leading 1, of which n bits are known.
func (m *match) input(c0, n int) int32 {
	if m.expect == 0 || m.expect>>(8-n) != c0 {
		m.slot = nil
		return 0
	}
	m.bit = m.expect >> (7 - n) & 1
	m.slot = &m.slots[m.base|min(n, 3)]
	x := mix.Stretch(m.slot.P())
	if m.bit == 0 {
		return -x
	}
	return x
}

// says tells what the last input was for: 0 nothing, 1 a 0, 2 a 1.
func (m *match) says() int {
	if m.slot == nil {
		return 0
	}
	return 1 + m.bit
}

// size tells how long the match is, in 0 to 3.
func (m *match) size() int {
	if m.expect == 0 {
		return 0
	}
	return 1 + min(m.length/8, 2)
}

// take changes to a longer match, if n is longer, and gives up one that is
// wrong time and again.
func (m *match) take(pos int64, n int) {
	if n > m.length {
		m.pos, m.length, m.missed = pos, n, 0
	} else if m.missed == 255 {
		m.pos = -1
	}
}

// learn tells what bit came.
func (m *match) learn(bit int) {
	if m.slot != nil {
		m.slot.Learn(1^bit^m.bit, 255)
	}
}

// lengthBucket maps lengths to 0 to 15.
func lengthBucket(n int) int {
	switch {
	case n < 8:
		return n
	case n < 12:
		return 8
	case n < 16:
		return 9
	case n < 24:
		return 10
	case n < 32:
		return 11
	case n < 64:
		return 12
	case n < 128:
		return 13
	case n < maxMatch:
		return 14
	}
	return 15
}
