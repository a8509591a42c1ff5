package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// zeros code which of the floats too small for a class of their own are zero,
// and which of those negative.
type zeros struct{ zero, negative mix.Slot }

func (z *zeros) init() { z.zero, z.negative = mix.NewSlot, mix.NewSlot }

// code codes whether the ordered number v is a zero. sign is 0 for +0, which is
// 0, and 1 for -0, which is -1.
func (z *zeros) code(c *mix.Coder, v int64) (sign int64, is bool) {
	bit := 0
	if v == 0 || v == -1 {
		bit = 1
	}
	if z.zero.Code(c, bit, quickLimit) == 0 {
		return 0, false
	}
	return int64(z.negative.Code(c, signBit(v), quickLimit)), true
}

// floating codes a float without basis: the class of its exponent, its sign and
// its mantissa.
func (m *Model) floating(c *mix.Coder, v int64) int64 {
	m.setFloat()
	f, top := &m.format, m.params.Top
	k, _ := f.ofFloat(v, top)
	k = m.search.code(c, &m.at, 0, k)
	mag := f.magnitude(v)
	e := int64(k+top-lastClass) & f.exponent
	if k == 0 {
		if sign, is := m.zeros.code(c, v); is {
			m.note(0, 1-2*sign, 0)
			return -sign
		}
		e = mag >> f.mantissa & f.exponent
		e = int64(c.Bits(uint32(e), bits.Len64(uint64(f.exponent))))
	}
	negative := int64(m.signs.code(c, &m.at, &m.near, k, 0, signBit(v)))
	v = e<<f.mantissa | int64(m.digits.code(c, &m.at, k, f.mantissa, uint64(mag)))
	v ^= -negative
	_, size := f.ofFloat(v, top)
	m.note(size, 1-2*negative, int64(k))
	return v
}
