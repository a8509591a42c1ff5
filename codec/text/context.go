package text

import "math/bits"

const (
	// The contexts that know nothing of matches come first: they can be taught
	// beforehand.
	plainContexts = 8
	contexts      = plainContexts + 3
)

// gaze is what the plain contexts see of the bytes that came.
type gaze struct {
	tail           uint64 // the last eight bytes
	skeleton       uint64 // the same, each run of digits as one
	word, lastWord uint32 // hashes of the letters of this word and the one before
}

func (g *gaze) look(b byte) {
	g.tail = g.tail<<8 | uint64(b)
	if '0' <= b && b <= '9' {
		if g.skeleton&0xff != '0' {
			g.skeleton = g.skeleton<<8 | '0'
		}
		return
	}
	g.skeleton = g.skeleton<<8 | uint64(b)
	switch {
	case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b >= 0x80:
		g.word = hash(g.word, uint32(b), 5)
	case g.word != 0:
		g.lastWord, g.word = g.word, 0
	}
}

// plain sets the hashes of the plain contexts: orders 2, 3, 4 and 6, the word
// with the one before and with the last byte, names without their numbers, and
// the two bytes before the last.
func (g *gaze) plain(c *[contexts]uint32) {
	last4 := uint32(g.tail)
	c[0] = hash(1, last4&0xffff, 0)
	c[1] = hash(2, last4&0xffffff, 0)
	c[2] = hash(3, last4, 0)
	c[3] = hash(4, last4, uint32(g.tail>>32)&0xffff)
	c[4] = hash(5, g.word, g.lastWord)
	c[5] = hash(6, uint32(g.skeleton), uint32(g.skeleton>>32))
	c[6] = hash(7, last4&0xffff00, 0)
	c[7] = hash(8, g.word, last4&0xff)
}

// setContexts turns to the contexts of the next byte: the plain ones; what old
// says next, under the last two and three bytes, which is where edits that
// repeat are learned; and what the matches say.
func (m *Model) setContexts() {
	c, g := &m.ctx, &m.gaze
	g.plain(c)
	last4 := uint32(g.tail)
	if m.old != nil {
		c[8] = hash(9, m.ahead>>16, last4&0xffff)
		c[9] = hash(10, m.ahead, last4&0xffffff)
	} else {
		c[8] = hash(9, last4, uint32(g.tail>>32)&0xff)
		c[9] = hash(10, last4&0xff0000ff, uint32(m.h.n)&3)
	}
	c[10] = hash(11, uint32(m.follow.expect)<<16|uint32(m.own.expect), last4&0xff)
	for i := range m.bucket {
		m.bucket[i] = m.tables[i].get(c[i])
	}
}

// half turns to the second half of a byte, whose first is c0 with a leading 1,
// in the first n contexts.
func (m *Model) half(c0, n int) {
	for i := range m.bucket[:n] {
		m.bucket[i] = m.tables[i].get(hash(m.ctx[i], uint32(c0), 77))
	}
}

func hash(i, a, b uint32) uint32 {
	x := (a+i*0x9E3779B1)*0x85EBCA6B ^ bits.RotateLeft32((b+i)*0xC2B2AE35, 13)
	x ^= x >> 15
	x *= 0x27D4EB2F
	return x ^ x>>13
}
