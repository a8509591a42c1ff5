package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

const (
	probeBytes = 128  // coded by the model before it is judged
	rawBytes   = 4096 // coded as they are after a model that foresaw nothing
	// A model that foresees nothing gives each bit that comes a mean probability
	// of a half. One that gives 0.503 saves 0.4 % at most.
	foreseen = 65536 * 503 / 1000
)

// doubt decides by what was coded when the model is worth its while: if it
// foresaw nothing of a stretch, the next, longer one is coded as it is, until a
// match is found. Both sides see the same, so nothing is said of it.
type doubt struct {
	sum   uint64 // of the probabilities of the bits that came
	bytes int
	raw   int // bytes left to be coded as they are
}

// count adds a bit that came, to which the model gave p for a 1.
func (d *doubt) count(bit int, p uint32) {
	if bit == 0 {
		p = 65536 - p
	}
	d.sum += uint64(p)
}

// judge counts a byte that the model coded.
func (d *doubt) judge() {
	if d.bytes++; d.bytes == probeBytes {
		if d.sum < probeBytes*8*foreseen {
			d.raw = rawBytes
		}
		d.sum, d.bytes = 0, 0
	}
}

// rawByte codes a byte as it is.
func (m *Model) rawByte(c *mix.Coder, b byte) byte {
	b = byte(c.Bits(uint32(b), 8))
	m.doubt.raw--
	m.end(b)
	if m.own.length >= sureLen || m.remote.length >= sureLen || m.follow.pos >= 0 && m.follow.length >= sureLen {
		m.doubt.raw = 0
	}
	return b
}
