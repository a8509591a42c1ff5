package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

const (
	mapLimit    = 255 // bits that the maps of states remember
	order1Limit = 60  // and the slots of order 1
)

// code codes a byte bit by bit under all contexts and matches.
func (m *Model) code(c *mix.Coder, b byte) byte {
	c0 := 1 // the bits known, with a leading 1
	matchSet := m.matchSet() << 4
	last := int(m.gaze.tail & 255)
	order1 := &m.order1[last]
	expect := m.follow.expect
	if expect == 0 || m.follow.length == 0 && m.own.length > 0 {
		expect = m.own.expect
	}
	in := &m.mixer.in
	in[contexts+4] = 256
	var state [contexts]*uint8
	for n := range 8 {
		node := c0
		if n >= 4 {
			if n == 4 {
				m.half(c0, contexts)
			}
			node = 1<<(n-4) | c0&(1<<(n-4)-1)
		}
		for i, k := range &m.bucket {
			s := &k[node&15]
			state[i] = s
			in[i] = 0 // a context that saw nothing says nothing
			if *s != 0 {
				in[i] = int64(stretch[m.maps[i][*s]>>20])
			}
		}
		slot := &order1[c0&255]
		in[contexts] = int64(m.follow.input(c0, n))
		in[contexts+1] = int64(m.remote.input(c0, n))
		in[contexts+2] = int64(m.own.input(c0, n))
		in[contexts+3] = int64(stretch[*slot>>20])

		agree := m.follow.says() | m.own.says()<<2
		foretold := 0
		if expect>>(8-n) == c0 {
			foretold = expect>>(7-n)&1 + 1
		}
		logit := m.mixer.mix(matchSet|agree, last<<3|n, agree<<4|min(m.follow.length, 15))
		p := (mix.Squash(logit) + m.apm.refine(foretold<<8|c0&255, logit) + 1) >> 1
		p = min(max(p, 1), 65535)

		bit := c.Code(int(b>>(7-n)&1), p)

		m.doubt.count(bit, p)
		m.mixer.learn(bit)
		m.apm.learn(bit)
		for i, s := range &state {
			m.maps[i][*s].Learn(bit, mapLimit)
			*s = history8.next[*s][bit&1]
		}
		m.follow.learn(bit)
		m.remote.learn(bit)
		m.own.learn(bit)
		slot.Learn(bit, order1Limit)
		c0 = c0<<1 | bit
	}
	return byte(c0)
}

// matchSet tells, in 0 to 15, how long the matches are.
func (m *Model) matchSet() int {
	return m.follow.size()<<2 | m.own.size()
}
