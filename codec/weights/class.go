package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// codeClass codes the class k of an element: up or down from the class K that is
// expected, one question for each class on the way. q are the forecasts, in
// quarters of a class, and exp tells elements of the basis apart.
func (m *Model) codeClass(c *mix.Coder, k, K int, q *[forecasts]int, exp int) int {
	pattern := 0
	if m.based || !m.f.float {
		pattern = min(bits.Len64(uint64(abs(m.left[0]))), 3) | min(bits.Len64(uint64(abs(m.left[1]))), 3)<<2
		pattern |= int(m.signsUp[m.col+1]+1)<<4 | int(m.signsUp[m.col]&1)<<6 | int(m.signsUp[m.col+2]&1)<<7
	}
	step := func(state, j, bit int) int {
		for i := range q {
			rel := min(max(4*j-q[i]+span, 0), span-1)
			m.at[i] = &m.near[i][state*span+rel]
		}
		if !m.f.float {
			// How much of this row has changed tells better than any average.
			m.at[byAll] = &m.count[(state*classes+j)*128+min(m.changed, 7)<<4+min(bits.Len(uint(m.col)), 15)]
		}
		a := min(max(4*j-q[byLast]+span, 0), span-1) / 4
		b := min(max(4*j-q[byColumn]+span, 0), span-1) / 4
		m.at[5] = &m.pair[(state*16+a)*16+b]
		m.at[6] = &m.exp[(state*exps+exp)*classes+j]
		if m.foretells() {
			rel := min(max(4*j-m.outlook+span, 0), span-1)
			m.at[7] = &m.guess[(state*16+m.sure)*span+rel]
			return m.bit8(c, state*16+min(j, 15), bit, 400)
		}
		if m.near0 > 0 {
			m.at[5] = &m.lean[(state*64+m.near0)*classes+j]
		}
		m.at[7] = &m.digit[(state*256+pattern)*classes+j]
		return m.bit8(c, state*16+min(j, 15), bit, 400)
	}
	above := func(j int) int {
		if k > j {
			return 1
		}
		return 0
	}
	if step(0, K, above(K)) != 0 {
		most := classes - 1
		if m.f.width == 8 && (m.based || !m.f.float) {
			most = classes // of -2^63, which is its own opposite
		}
		for j := K + 1; j < most; j++ {
			if step(1, j, above(j)) == 0 {
				return j
			}
		}
		return most
	}
	for j := K - 1; j >= 0; j-- {
		if step(2, j, above(j)) != 0 {
			return j + 1
		}
	}
	return 0
}

// magnitudeContext returns a number below exps that tells v from others: small
// ones all apart, large ones by sign, length and second bit.
func magnitudeContext(v int64) int {
	s := 0
	if v < 0 {
		s = 32
		v = -v
	}
	if v < 8 {
		return s + int(v)
	}
	n := bits.Len64(uint64(v))
	return s + min(8+2*(n-4)+int(v>>(n-2)&1), 31)
}

// foretells says whether contexts come of what is foretold.
func (m *Model) foretells() bool { return m.f.float && m.p.Period > 0 }
