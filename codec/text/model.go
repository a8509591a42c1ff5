package text

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

const (
	contexts  = 11
	matches   = 3
	inputs    = 2*contexts + 2*matches + 2
	selectors = 3
)

// Model codes runs of bytes, one after the other, and keeps what it learned.
type Model struct {
	old    *Old
	h      *history
	tables [contexts]table
	maps   [contexts][256]mix.Slot
	order0 [256]mix.Slot
	order1 []mix.Slot

	follow follower
	remote match // the longest match anywhere in old
	own    match // and in what was coded

	mixer  combiner
	apms   [2]*apm
	ctx    [contexts]uint32 // hashes of whole bytes
	bucket [contexts]*bucket
	state  [contexts]*uint8

	doubt doubt

	word, lastWord uint32
	skeleton       uint64 // the last eight bytes, runs of digits as one
}

const (
	minTableBits  = 12
	mostTableBits = 15
)

// NewModel returns a model that codes total bytes, about, against old, nil for
// none.
func NewModel(old *Old, total int64) *Model {
	m := &Model{old: old, h: newHistory(total)}
	b := min(max(bits.Len64(uint64(total)), minTableBits), mostTableBits)
	for i := range m.tables {
		m.tables[i] = newTable(b)
		m.maps[i] = history8.prior
	}
	mix.Fill(m.order0[:])
	m.order1 = make([]mix.Slot, 1<<16)
	mix.Fill(m.order1)
	m.follow.init()
	m.remote.init()
	m.own.init()
	m.mixer.init([selectors]int{16 * 16, 256 * 3, 2048})
	m.apms[0] = newAPM(1 << 10)
	m.apms[1] = newAPM(1 << 16)
	return m
}

// Code codes b.
func (m *Model) Code(c *mix.Coder, hint int64, b []byte) error {
	if m.old != nil {
		m.old.Hint(hint)
		m.follow.start(m.old, hint)
		m.old.grow(0)
	}
	for i := range b {
		if m.doubt.raw > 0 {
			b[i] = m.rawByte(c, b[i])
			continue
		}
		m.begin()
		b[i] = m.code(c, b[i])
		m.end(b[i])
		m.doubt.judge()
	}
	if err := c.Err(); err != nil {
		return err
	}
	if m.old != nil {
		return m.old.Err()
	}
	return nil
}

// begin prepares for the next byte: contexts and matches.
func (m *Model) begin() {
	h := m.h
	if m.own.pos >= 0 && h.n-m.own.pos < h.mask {
		m.own.begin(h.at(m.own.pos))
	} else {
		m.own.none()
	}
	var ahead uint32 // the next bytes of old
	if m.old != nil {
		if m.follow.pos >= 0 {
			m.follow.begin(m.old.at(m.follow.pos))
			at := m.follow.pos
			if m.follow.lost {
				at = m.follow.anchor
			}
			for i := range int64(4) {
				ahead = ahead<<8 | uint32(m.old.at(at+i))
			}
		} else {
			m.follow.none()
		}
		if m.remote.pos >= 0 {
			m.remote.begin(m.old.at(m.remote.pos))
		} else {
			m.remote.none()
		}
	}
	t := h.tail
	t32 := uint32(t)
	c := &m.ctx
	c[0] = hash(1, t32&0xffff, 0)
	c[1] = hash(2, t32&0xffffff, 0)
	c[2] = hash(3, t32, 0)
	c[3] = hash(4, t32, uint32(t>>32)&0xffff)
	c[4] = hash(5, m.word, m.lastWord)
	c[5] = hash(6, uint32(m.skeleton), uint32(m.skeleton>>32))
	c[6] = hash(7, ahead>>16, t32&0xffff)
	c[7] = hash(8, ahead, t32&0xffffff)
	c[8] = hash(9, uint32(m.follow.expect)<<16|uint32(m.own.expect), t32&0xff)
	c[9] = hash(10, t32&0xffff00, 0)
	c[10] = hash(11, m.word, t32&0xff)
	for i := range m.bucket {
		m.bucket[i] = m.tables[i].get(c[i])
	}
}

func hash(i, a, b uint32) uint32 {
	x := (a+i*0x9E3779B1)*0x85EBCA6B ^ bits.RotateLeft32((b+i)*0xC2B2AE35, 13)
	x ^= x >> 15
	x *= 0x27D4EB2F
	return x ^ x>>13
}

func (m *Model) code(c *mix.Coder, b byte) byte {
	c0 := 1
	matchSet := m.matchSet()
	c1 := int(m.h.tail & 255)
	o1 := m.order1[c1<<8:][:256]
	expect := m.follow.expect
	if expect == 0 || m.follow.length == 0 && m.own.length > 0 {
		expect = m.own.expect
	}
	for n := range 8 {
		node := c0
		if n == 4 {
			for i := range m.bucket {
				m.bucket[i] = m.tables[i].get(hash(m.ctx[i], uint32(c0), 77))
			}
		}
		if n >= 4 {
			node = 1<<(n-4) | c0&(1<<(n-4)-1)
		}
		in := &m.mixer.in
		for i := range contexts {
			s := &m.bucket[i][node]
			m.state[i] = s
			p := m.maps[i][*s].P()
			if *s == 0 {
				in[2*i], in[2*i+1] = 0, 0
			} else {
				in[2*i] = mix.Stretch(p)
				in[2*i+1] = (int32(p) - 32768) >> 5
			}
		}
		in[2*contexts], in[2*contexts+1] = m.follow.inputs(c0, n)
		in[2*contexts+2], in[2*contexts+3] = m.remote.inputs(c0, n)
		in[2*contexts+4], in[2*contexts+5] = m.own.inputs(c0, n)
		s0, s1 := &m.order0[c0], &o1[c0]
		in[2*contexts+6] = mix.Stretch(s1.P())
		in[2*contexts+7] = 256

		agree := 0
		if m.follow.slot != nil {
			agree |= 1 + m.follow.bit
		}
		if m.own.slot != nil {
			agree |= (1 + m.own.bit) << 2
		}
		var e int
		if expect>>(8-n) == c0 {
			e = expect>>(7-n)&1 + 1
		}
		logit := m.mixer.mix([selectors]int{matchSet<<4 | agree, c0*3 + e, c1<<3 | n}, agree<<4|min(m.follow.length, 15))
		p := mix.Squash(logit)
		pa := m.apms[0].refine(c0|e<<8, logit)
		pb := m.apms[1].refine(int(hash(uint32(c0), uint32(m.h.tail&0xffff), 3)&0xffff), logit)
		p = (2*p + pa + pb + 2) >> 2
		p = min(max(p, 1), 65535)

		bit := c.Code(int(b>>(7-n)&1), p)

		if bit == 0 {
			p = 65536 - p
		}
		m.doubt.sum += uint64(p)

		m.mixer.learn(bit)
		m.apms[0].learn(bit)
		m.apms[1].learn(bit)
		for i := range contexts {
			s := m.state[i]
			m.maps[i][*s].Learn(bit, 255)
			*s = history8.next[*s][bit]
		}
		m.follow.learn(bit)
		m.remote.learn(bit)
		m.own.learn(bit)
		s0.Learn(bit, 255)
		s1.Learn(bit, 60)
		c0 = c0<<1 | bit
	}
	return byte(c0)
}

func (m *Model) matchSet() int {
	f, o := 0, 0
	if m.follow.expect != 0 {
		f = 1 + min(m.follow.length/8, 2)
	}
	if m.own.expect != 0 {
		o = 1 + min(m.own.length/8, 2)
	}
	return f<<2 | o
}

// end learns of the byte that came.
func (m *Model) end(b byte) {
	h := m.h
	h.add(b)
	if m.own.pos >= 0 {
		m.own.update(m.h.at(m.own.pos), b)
	}
	if m.own.length < longMatch {
		if pos, n := h.find(longMatch); n > m.own.length {
			m.own.pos, m.own.length, m.own.missed = pos, n, 0
		} else if m.own.missed == 255 {
			m.own.pos = -1
		}
	} else {
		h.find(0)
	}
	if m.old != nil {
		m.old.grow(1)
		if m.remote.pos >= 0 {
			m.remote.update(m.old.at(m.remote.pos), b)
		}
		if m.remote.length < longMatch {
			if pos, n := m.old.find(h, longMatch); n > m.remote.length {
				m.remote.pos, m.remote.length, m.remote.missed = pos, n, 0
			} else if m.remote.missed == 255 {
				m.remote.pos = -1
			}
		}
		m.follow.follow(m.old, h, b, &m.remote)
	}
	digit := b >= '0' && b <= '9'
	letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
	switch {
	case letter:
		m.word = hash(m.word, uint32(b), 5)
	case digit:
	default:
		if m.word != 0 {
			m.lastWord, m.word = m.word, 0
		}
	}
	switch {
	case !digit:
		m.skeleton = m.skeleton<<8 | uint64(b)
	case m.skeleton&0xff != '0':
		m.skeleton = m.skeleton<<8 | '0'
	}
}
