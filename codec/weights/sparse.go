package weights

import (
	"encoding/binary"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// sparse codes elements with a basis of which most are equal to it: how many
// before the next that is not, and the difference of that one, until none is
// left. basis and data are as long and at most sparseRun elements.
func (m *Model) sparse(c *mix.Coder, basis []byte, rest []int8, data []byte) {
	w := m.format.width
	n := len(data) / w
	if c.Decodes() {
		copy(data, basis)
	}
	m.near.prepare(n)
	v, b := m.values[:1], m.basis[:1]
	for at := 0; at < n; at++ {
		gap := 0
		if !c.Decodes() {
			gap = alike(basis[at*w:], data[at*w:]) / w
		}
		gap = min(m.gaps.code(c, gap), n-at)
		m.near.skip(gap)
		if at += gap; at == n {
			return
		}
		here := data[at*w : at*w+w]
		m.format.load(b, basis[at*w:at*w+w])
		m.format.load(v, here)
		m.at.rest = 0
		if rest != nil {
			m.at.rest = restStep(rest[at])
		}
		v[0] = m.difference(c, v[0], b[0])
		if c.Decodes() {
			m.format.save(here, v)
		}
	}
}

// Changed returns how many elements of a class differ between basis and data,
// which are as long and whole elements.
func Changed(class codec.Class, basis, data []byte) int {
	w, changed := class.Width(), 0
	for at := 0; ; at += w {
		if at += alike(basis[at:], data[at:]) / w * w; at+w > len(data) {
			return changed
		}
		changed++
	}
}

// alike returns with how many bytes a and b, which are as long, begin alike.
func alike(a, b []byte) int {
	n := 0
	for ; n+8 <= len(a); n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}
