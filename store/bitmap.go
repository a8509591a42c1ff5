package store

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// segmentChunks is how many chunks one value of the index covers: 128 bytes,
// so that a commit that adds a few chunks writes a few hundred bytes.
const (
	segmentChunks = 1024
	segmentBytes  = segmentChunks / 8
)

// bitmap is a set of chunk indices, one bit each, lowest bit first, padded to
// whole segments.
type bitmap []byte

func newBitmap(chunks int) bitmap {
	return make(bitmap, (chunks+segmentChunks-1)/segmentChunks*segmentBytes)
}

func (b bitmap) has(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }
func (b bitmap) set(i int)      { b[i>>3] |= 1 << (i & 7) }
func (b bitmap) clear(i int)    { b[i>>3] &^= 1 << (i & 7) }

// segment returns the bytes of segment n; shared.
func (b bitmap) segment(n int) []byte { return b[n*segmentBytes : (n+1)*segmentBytes] }

func (b bitmap) count() (n int) {
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// fill sets the first chunks bits.
func (b bitmap) fill(chunks int) {
	for i := range chunks {
		b.set(i)
	}
}

// trim clears everything from chunk on, whatever the index said.
func (b bitmap) trim(chunks int) {
	for i := chunks; i < 8*len(b); i++ {
		b.clear(i)
	}
}

// ranges returns the set as spans.
func (b bitmap) ranges() manifest.Ranges {
	var out manifest.Ranges
	for i := 0; i < 8*len(b); {
		switch {
		case i&7 == 0 && b[i>>3] == 0:
			i += 8
		case !b.has(i):
			i++
		default:
			from := i
			for i < 8*len(b) && b.has(i) {
				i++
			}
			out = append(out, manifest.Span{From: uint32(from), To: uint32(i)})
		}
	}
	return out
}
