package codec

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
)

// planes are the streams of a chunk: the bytes of each class lie one class
// after the other in one buffer, and within a class one plane after the other.
type planes struct {
	sizes [classes]int
}

// classes yields each class that has bytes, and which part of buf, as long as the
// chunk, holds its planes.
func (p planes) classes(buf []byte) iter.Seq2[Class, []byte] {
	return func(yield func(Class, []byte) bool) {
		for c := range classes {
			n := p.sizes[c]
			if n > 0 && !yield(c, buf[:n]) {
				return
			}
			buf = buf[n:]
		}
	}
}

// streamsOf yields the planes of a class.
func streamsOf(c Class, all []byte) iter.Seq[[]byte] { return slices.Chunk(all, len(all)/c.Width()) }

// starts returns where each class begins in the buffer.
func (p planes) starts() (starts [classes]int) {
	at := 0
	for c := range classes {
		starts[c] = at
		at += p.sizes[c]
	}
	return starts
}

// split distributes the chunk over the streams in buf, which is as long.
func (p planes) split(buf, chunk []byte, segs []Segment) {
	at := p.starts()
	for _, s := range segs {
		stride := p.sizes[s.Class] / s.Class.Width()
		n := s.Bytes / s.Class.Width()
		splitRun(buf[at[s.Class]:], stride, chunk[:s.Bytes], s.Class)
		at[s.Class] += n
		chunk = chunk[s.Bytes:]
	}
}

// join is the inverse of split.
func (p planes) join(chunk, buf []byte, segs []Segment) {
	at := p.starts()
	for _, s := range segs {
		stride := p.sizes[s.Class] / s.Class.Width()
		n := s.Bytes / s.Class.Width()
		joinRun(chunk[:s.Bytes], buf[at[s.Class]:], stride, s.Class)
		at[s.Class] += n
		chunk = chunk[s.Bytes:]
	}
}

// splitRun writes byte k of element i of src to to[k·stride+i].
func splitRun(to []byte, stride int, src []byte, c Class) {
	w := c.Width()
	n := len(src) / w
	rotate := 0
	if c.float() {
		rotate = 1
	}
	switch w {
	case 1:
		copy(to, src)
	case 2:
		p0, p1 := to[:n], to[stride:stride+n]
		for i := range p0 {
			v := bits.RotateLeft16(binary.LittleEndian.Uint16(src[2*i:]), rotate)
			p0[i], p1[i] = byte(v), byte(v>>8)
		}
	case 4:
		p0, p1, p2, p3 := to[:n], to[stride:][:n], to[2*stride:][:n], to[3*stride:][:n]
		for i := range p0 {
			v := bits.RotateLeft32(binary.LittleEndian.Uint32(src[4*i:]), rotate)
			p0[i], p1[i], p2[i], p3[i] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		}
	case 8:
		for i := range n {
			v := bits.RotateLeft64(binary.LittleEndian.Uint64(src[8*i:]), rotate)
			for k := range 8 {
				to[k*stride+i] = byte(v >> (8 * k))
			}
		}
	}
}

// joinRun is the inverse of splitRun.
func joinRun(to, src []byte, stride int, c Class) {
	w := c.Width()
	n := len(to) / w
	rotate := 0
	if c.float() {
		rotate = -1
	}
	switch w {
	case 1:
		copy(to, src)
	case 2:
		p0, p1 := src[:n], src[stride:][:n]
		for i := range p0 {
			v := uint16(p0[i]) | uint16(p1[i])<<8
			binary.LittleEndian.PutUint16(to[2*i:], bits.RotateLeft16(v, rotate))
		}
	case 4:
		p0, p1, p2, p3 := src[:n], src[stride:][:n], src[2*stride:][:n], src[3*stride:][:n]
		for i := range p0 {
			v := uint32(p0[i]) | uint32(p1[i])<<8 | uint32(p2[i])<<16 | uint32(p3[i])<<24
			binary.LittleEndian.PutUint32(to[4*i:], bits.RotateLeft32(v, rotate))
		}
	case 8:
		for i := range n {
			var v uint64
			for k := range 8 {
				v |= uint64(src[k*stride+i]) << (8 * k)
			}
			binary.LittleEndian.PutUint64(to[8*i:], bits.RotateLeft64(v, rotate))
		}
	}
}
