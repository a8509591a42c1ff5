package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

const (
	sureFollow = 32
	sureOwn    = 40
	sureRemote = 40

	sureInputs = 8   // the slots, and a constant
	sureBits   = 14  // of the number of slots of a context
	sureLimit  = 127 // bytes that a slot remembers
)

// sure codes bytes that a long match foretells by one bit: whether it is right.
// Most bytes of a new version are such, and this is ten times as fast as all
// contexts are.
type sure struct {
	byLength [3 * 16 * 4]mix.Slot
	hashed   [6][1 << sureBits]mix.Slot
	mixer    *mix.Mixer
	in       [sureInputs]int32
}

// init begins with the belief that one in a hundred is wrong.
func (s *sure) init() {
	fill := func(slots []mix.Slot) {
		for i := range slots {
			slots[i] = mix.Slot((65535-65536/100)<<16 | 2)
		}
	}
	fill(s.byLength[:])
	for i := range s.hashed {
		fill(s.hashed[i][:])
	}
	s.mixer = mix.NewMixer(sureInputs, 4, 65536*20/100, 12)
}

// expected returns the byte that long matches foretell, where it comes from and
// how many of the others agree; ok is false if there is no such match or
// another match says otherwise.
func (m *Model) expected() (expect byte, source, agree, length int, ok bool) {
	f, o, r := &m.follow.match, &m.own, &m.remote
	switch {
	case f.expect != 0 && f.length >= sureFollow:
		expect, length = byte(f.expect), f.length
	case o.expect != 0 && o.length >= sureOwn:
		expect, source, length = byte(o.expect), 1, o.length
	case r.expect != 0 && r.length >= sureRemote:
		expect, source, length = byte(r.expect), 2, r.length
	default:
		return 0, 0, 0, 0, false
	}
	for _, other := range [...]*match{f, o, r} {
		switch {
		case other.expect == 0 || other.length < 8:
		case byte(other.expect) == expect:
			agree++
		default:
			return 0, 0, 0, 0, false
		}
	}
	return expect, source, agree, length, true
}

// sureByte codes b by one bit if it is what long matches foretell. If it is not,
// the matches that were wrong are silenced for this byte and ok is false.
func (m *Model) sureByte(c *mix.Coder, b byte) (got byte, ok bool) {
	expect, source, agree, length, ok := m.expected()
	if !ok {
		return 0, false
	}
	s, g := &m.sure, &m.gaze
	e, last4 := uint32(expect), uint32(g.tail)
	const drop = 32 - sureBits
	slots := [sureInputs - 1]*mix.Slot{
		&s.byLength[(source<<4|lengthBucket(length))<<2|agree],
		&s.hashed[0][hash(1, e<<8|last4&0xff, 1)>>drop],
		&s.hashed[1][hash(2, m.ahead, last4&0xffff)>>drop],
		&s.hashed[2][hash(3, last4, e)>>drop],
		&s.hashed[3][hash(4, uint32(g.skeleton), uint32(g.skeleton>>32))>>drop],
		&s.hashed[4][hash(5, g.word, g.lastWord^e*0x9E3779B1)>>drop],
		&s.hashed[5][hash(6, uint32(m.own.expect|m.remote.expect<<9), uint32(lengthBucket(m.own.length)<<12|lengthBucket(m.follow.length)<<8)|e)>>drop],
	}
	for i, slot := range slots {
		s.in[i] = mix.Stretch(slot.P())
	}
	s.in[sureInputs-1] = 256
	bit := 0
	if b == expect {
		bit = 1
	}
	bit = c.Code(bit, s.mixer.Mix(agree, s.in[:]))
	s.mixer.Learn(bit)
	for _, slot := range slots {
		slot.Learn(bit, sureLimit)
	}
	if bit == 1 {
		return expect, true
	}
	for _, other := range [...]*match{&m.follow.match, &m.own, &m.remote} {
		if other.expect != 0 && byte(other.expect) == expect {
			other.none()
		}
	}
	return 0, false
}
