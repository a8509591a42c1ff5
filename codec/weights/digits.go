package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// codeSign codes whether an element of class k is less than its basis b.
func (m *Model) codeSign(c *mix.Coder, neg int, b int64, k, rel, exp int) int {
	l, u, s := signOf(m.left[0]), int(m.signsUp[m.col+1]+1), signOf(b)
	rel = min(max(rel, 0), span-1)
	m.at[0] = &m.sign[0][(l*3+u)*3+s]
	m.at[1] = &m.sign[1][rel*3+s]
	if m.near0 > 0 {
		m.at[1] = &m.sign[1][span*3+m.near0]
	}
	m.at[2] = &m.sign[2][exp*4+s]
	m.at[3] = &m.sign[3][((l*3+signOf(m.left[1]))*3+u)*3+int(m.signsUp[m.col]+1)]
	set := 0
	if m.foretells() {
		set = 1
		i := m.sure * 32
		if m.negative {
			i += 16
		}
		m.at[3] = &m.guessSign[i+min(max((m.outlook-halfSpan-4*k)/4+8, 0), 15)]
	}
	return m.bit4(c, m.signs, set, neg, 1000)
}

// codeDigits codes the low n bits of d, whose class is k.
func (m *Model) codeDigits(c *mix.Coder, d uint64, n, k, rel, exp int) uint64 {
	node := 1
	var out uint64
	guess := -1
	if m.foretells() {
		// Where the guess is of the same class, its upper bits tell.
		g := uint64(max(m.ahead.guess, -m.ahead.guess))
		class := bits.Len64(g) - 25 + classes - 1
		upper := 0
		if n := bits.Len64(g); n > 2 {
			upper = int(g>>(n-3)) & 3
		}
		guess = ((m.sure*4+min(max(class-k+1, 0), 3))*4 + upper) * 8
	}
	rel = min(max(rel, 0), span-1)
	for i := n - 1; i >= 0; i-- {
		bit := int(d >> i & 1)
		if node < 8 {
			m.at[0] = &m.top[0][rel*8+node]
			m.at[1] = &m.top[1][k*8+node]
			m.at[2] = &m.top[2][(exp*4+min(n, 3))*8+node]
			if guess >= 0 {
				m.at[2] = &m.guessTop[guess+node]
			}
			m.at[3] = &m.plain[node]
			bit = m.bit4(c, m.tops, node, bit, 1000)
			node = node*2 | bit
		} else {
			s := &m.low[k*classes+i]
			bit = c.Code(bit, s.P())
			s.Learn(bit, 1000)
		}
		out = out<<1 | uint64(bit)
	}
	return out
}
