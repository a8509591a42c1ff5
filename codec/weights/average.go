package weights

import (
	"math/bits"
)

// split returns the class of an element and its magnitude in the scale of
// averages: of floats without basis the exponent and the number, of all else the
// length of the difference from the basis and that.
func (m *Model) split(v, b int64) (class int, mag uint64) {
	if m.f.float && !m.based {
		e := int(m.f.magnitude(v) >> m.f.mantissa & m.f.exponent)
		class = min(max(e-(m.p.Top-classes+1), 0), classes-1)
		frac := uint64(m.f.magnitude(v)) & (1<<m.f.mantissa - 1)
		one := uint64(1)<<20 | frac<<20>>m.f.mantissa
		if d := max(m.p.Top-e, 0); d < 40 {
			mag = one << 20 >> d
		}
		if e == 0 {
			mag = 0
		}
		return class, mag
	}
	d := v - b
	if d < 0 {
		d = -d
	}
	return bits.Len64(uint64(d)), scale(uint64(d), m.shift(b))
}

// shift returns by how many bits averages are finer than steps of the basis: its
// exponent above the lowest that is told apart.
func (m *Model) shift(b int64) int {
	if !m.f.float {
		return 0
	}
	return min(max(m.f.exp(b)-(m.p.Top-reach), 0), reach)
}

// scale returns a difference in the scale of averages.
func scale(d uint64, shift int) uint64 {
	return min(d, 1<<(60-fraction-reach)) << (fraction + shift)
}

// level returns the logarithm of x in quarter bits, about; 0 for 0.
func level(x uint64) int {
	n := bits.Len64(x)
	if n < 3 {
		return [4]int{0, 4, 8, 10}[x]
	}
	return 4*n + int(x>>(n-3)&3)
}

// unlevel is about the inverse of level.
func unlevel(l int) uint64 {
	if l < 12 {
		return uint64(l / 4)
	}
	return uint64(4|l&3) << (l/4 - 3)
}

// noteFloat remembers an element of an array of floats without basis.
func (m *Model) noteFloat(mag uint64, k, neg int) {
	m.noteMag(mag, int8(1-2*neg))
	m.left[1], m.left[0] = m.left[0], int64(k)
}

// note remembers an element that differs by d from its basis.
func (m *Model) note(mag uint64, d int64) {
	s := int8(0)
	if d > 0 {
		s = 1
	} else if d < 0 {
		s = -1
	}
	m.noteMag(mag, s)
	m.left[1], m.left[0] = m.left[0], d
	if d != 0 {
		m.changed++
	}
}

// noteMag takes a magnitude and a sign into the averages.
func (m *Model) noteMag(mag uint64, s int8) {
	col := m.col + 1
	m.last += (mag >> 2) - (m.last >> 2)
	m.row += (mag >> 5) - (m.row >> 5)
	m.column[col] += (mag >> 3) - (m.column[col] >> 3)
	m.above[col] = mag
	m.signsUp[col] = s
	if m.col++; m.col == m.cols {
		m.col, m.changed = 0, 0
		m.prunedRow, m.prunedLast = unknown, m.prunedRow
	}
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// signOf returns 0, 1 or 2 for zero, positive and negative.
func signOf(v int64) int {
	switch {
	case v < 0:
		return 2
	case v > 0:
		return 1
	}
	return 0
}

// neg01 returns 1 for negative numbers.
func neg01(v int64) int {
	if v < 0 {
		return 1
	}
	return 0
}
