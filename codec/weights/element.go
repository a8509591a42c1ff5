package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// element codes an element v whose basis is b, and returns it.
func (m *Model) element(c *mix.Coder, v, b int64) int64 {
	if m.p.Zeros && b != 0 {
		if m.becomesZero(c, v, b) {
			m.note(0, 0)
			if m.hasRest {
				m.rest = m.rest[1:]
			}
			return 0
		}
	}
	m.near0 = 0
	if m.hasRest {
		m.near0 = 1 + int(uint8(m.rest[0])^0x80)>>3
		m.rest = m.rest[1:]
	}
	col := m.col + 1
	shift := 4 * m.shift(b)
	if m.f.float && !m.based {
		shift = 0
	}
	offset := 4*fraction + shift - halfSpan // of levels of |d|: class k is 4k + offset + halfSpan
	if m.f.float && !m.based {
		// Exponent e is magnitude 2^(40+e-Top), of level 4·(41+e-Top), and e is
		// class + Top - 63.
		offset = 4*(41-classes+1) - 4 - halfSpan
	}
	up := (m.above[col-1] + 2*m.above[col] + m.above[col+1]) / 4
	if m.col == 0 {
		up = (3*m.above[col] + m.above[col+1]) / 4
	}
	var q [forecasts]int
	q[byLast] = level(m.last) - offset
	q[byRow] = level(m.row) - offset
	q[byAbove] = level(up) - offset
	q[byColumn] = level(m.column[col]) - offset
	q[byAll] = level((m.last+m.row+up+m.column[col])/4) - offset
	// q is now 4·class + halfSpan for the forecast class
	exp := 0
	if m.based {
		if m.f.float {
			exp = min(max(m.f.exp(b)-m.p.Top+exps-1, 0), exps-1)
		} else {
			exp = magnitudeContext(b)
		}
	} else {
		exp = magnitudeContext(m.left[0])
		if m.f.float {
			exp = int(m.left[0])
		}
	}
	if m.foretells() {
		m.sure, m.negative = m.ahead.lean()
		m.outlook = level(m.ahead.outlook()) + 4*(40-24-fraction) - offset
	}
	K := min(max((q[byAll]-halfSpan)/4, 0), classes-2)

	k := 0
	if !c.Decodes() {
		k, _ = m.split(v, b)
	}
	k = m.codeClass(c, k, K, &q, exp)

	// sign and digits
	if m.f.float && !m.based {
		return m.finishFloat(c, v, k, &q, exp)
	}
	if k == 0 {
		m.note(0, 0)
		return b
	}
	d := v - b
	neg := 0
	if d < 0 {
		neg = 1
		d = -d
	}
	neg = m.codeSign(c, neg, b, k, q[byAll]-4*k, exp)
	mag := m.codeDigits(c, uint64(d), k-1, k, q[byAll]-4*k, exp) | 1<<(k-1)
	d = int64(mag)
	if neg != 0 {
		d = -d
	}
	v = b + d
	m.note(scale(mag, shift/4), d)
	return v
}

// finishFloat codes what the class k of a float without basis leaves open: its
// exponent if that is too small for a class, its sign and its mantissa.
func (m *Model) finishFloat(c *mix.Coder, v int64, k int, q *[forecasts]int, exp int) int64 {
	f := m.f
	mag := f.magnitude(v)
	e := mag >> f.mantissa & f.exponent
	if k == 0 {
		zero := 0
		if mag == 0 {
			zero = 1
		}
		s := &m.lone[0]
		zero = c.Code(zero, s.P())
		s.Learn(zero, 255)
		if zero != 0 {
			e, mag = 0, 0
		} else {
			e = int64(c.Bits(uint32(e), bits.Len64(uint64(f.exponent))))
		}
		if zero != 0 {
			neg := &m.lone[1]
			n := neg01(v)
			n = c.Code(n, neg.P())
			neg.Learn(n, 255)
			m.noteFloat(0, 0, n)
			return -int64(n) // +0 is 0, -0 is ^0
		}
	} else {
		e = int64(k+m.p.Top-classes+1) & f.exponent
	}
	neg := m.codeSign(c, neg01(v), 0, k, q[byAll]-4*k, exp)
	frac := m.codeDigits(c, uint64(mag)&(1<<f.mantissa-1), f.mantissa, k, q[byAll]-4*k, exp)
	mag = e<<f.mantissa | int64(frac)
	v = mag ^ -int64(neg)
	_, a := m.split(v, 0)
	m.noteFloat(a, k, neg)
	return v
}
