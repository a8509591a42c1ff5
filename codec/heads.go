package codec

import (
	"iter"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// modelled says whether the numbers of a class have a model.
func modelled(c Class) bool { return c <= F32 }

// makeRoom makes room for the heads of a class of so many bytes, and for what
// lies below them.
func (s *scratch) makeRoom(c Class, length int) {
	n := length / c.Width()
	if c.Width() > 1 {
		s.heads = grow(s.heads, n)
	}
	if s.low = s.low[:0]; c == F32 {
		s.low = grow(s.low, n)
	}
}

// gather reads the heads of a class, the upper 16 bits of its elements, and the
// 16 bits below from its planes. It returns false for classes without a model.
func (s *scratch) gather(c Class, all []byte) bool {
	if !modelled(c) {
		return false
	}
	s.makeRoom(c, len(all))
	n := len(all) / c.Width()
	switch c {
	case F16, BF16, I16:
		p0, p1 := all[:n], all[n:]
		rotate := 0
		if c.float() {
			rotate = -1
		}
		for i := range s.heads {
			s.heads[i] = bits.RotateLeft16(uint16(p0[i])|uint16(p1[i])<<8, rotate)
		}
	case F32:
		p0, p1, p2, p3 := all[:n], all[n:][:n], all[2*n:][:n], all[3*n:]
		for i := range s.heads {
			v := bits.RotateLeft32(uint32(p0[i])|uint32(p1[i])<<8|uint32(p2[i])<<16|uint32(p3[i])<<24, -1)
			s.heads[i], s.low[i] = uint16(v>>16), uint16(v)
		}
	}
	return true
}

// scatter is the inverse of gather.
func (s *scratch) scatter(c Class, all []byte) {
	n := len(all) / c.Width()
	switch c {
	case F16, BF16, I16:
		p0, p1 := all[:n], all[n:]
		rotate := 0
		if c.float() {
			rotate = 1
		}
		for i, h := range s.heads {
			h = bits.RotateLeft16(h, rotate)
			p0[i], p1[i] = byte(h), byte(h>>8)
		}
	case F32:
		p0, p1, p2, p3 := all[:n], all[n:][:n], all[2*n:][:n], all[3*n:]
		for i, h := range s.heads {
			v := bits.RotateLeft32(uint32(h)<<16|uint32(s.low[i]), 1)
			p0[i], p1[i], p2[i], p3[i] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		}
	}
}

// model codes the heads of a class; those of bytes are all itself.
func (s *scratch) model(c Class, m *mix.Coder, all []byte) {
	if s.numbers == nil {
		s.numbers = new(numbers)
	}
	switch c {
	case Other, Int8:
		s.numbers.bytes(m, all)
	case F16:
		s.numbers.floats(m, s.heads, nil, 5, 10)
	case BF16:
		s.numbers.floats(m, s.heads, nil, 8, 7)
	case I16:
		s.numbers.words(m, s.heads)
	case F32:
		s.numbers.floats(m, s.heads, s.low, 8, 7)
	}
}

// below yields the planes of the 16 low bits of all f32 that have an exponent,
// the lower one first; a decoder fills them, and [scratch.fillBelow] takes them.
func (s *scratch) below() iter.Seq[[]byte] {
	s.lower = s.lower[:0]
	for i, h := range s.heads {
		if h&0x7f80 != 0 {
			s.lower = append(s.lower, byte(s.low[i]))
		}
	}
	n := len(s.lower)
	for i, h := range s.heads {
		if h&0x7f80 != 0 {
			s.lower = append(s.lower, byte(s.low[i]>>8))
		}
	}
	return func(yield func([]byte) bool) {
		_ = n > 0 && yield(s.lower[:n]) && yield(s.lower[n:])
	}
}

func (s *scratch) fillBelow() {
	n := len(s.lower) / 2
	k := 0
	for i, h := range s.heads {
		if h&0x7f80 != 0 {
			s.low[i] = uint16(s.lower[k]) | uint16(s.lower[n+k])<<8
			k++
		}
	}
}
