package codec

import (
	"fmt"
	"sync"
)

// Effort says how hard Encode tries; the link decides.
type Effort int

// The efforts, with the speed of encoding trained f32 weights on one core of
// 2026 (see the benchmarks).
const (
	// Light is for links as fast as memory: raw, unless a sample shows that the
	// chunk shrinks to half or less.
	Light Effort = iota
	// Fast is for links of Mbit/s: planes and Huffman, hundreds of MB/s.
	Fast
	// Strong is for links slower than a few MB/s, which is its speed: everything
	// is tried, context mixing of numbers too.
	Strong
)

// Coder encodes and decodes; its methods are safe for concurrent use. It keeps
// as much reusable state as calls ran at once, about 2 MiB each, 9 MiB where
// Strong is used; the garbage collector takes what lies idle. The zero Coder is
// ready for use.
type Coder struct {
	pool sync.Pool // of *scratch
}

func (c *Coder) get() *scratch {
	if s, ok := c.pool.Get().(*scratch); ok {
		return s
	}
	return &scratch{}
}

// Encode returns chunk, at most [MaxRawBytes] long, as the smallest frame found
// with effort. The payload lies in buf's memory if that has room for the chunk,
// or shares chunk's; it is valid as long as neither is changed. Nil segments
// stand for bytes that are known not to be numbers, such as blocks: they are
// never mixed. What is not known is of class Other, and Strong looks for numbers
// in it. The error wraps [ErrSegments].
func (c *Coder) Encode(buf, chunk []byte, segs []Segment, effort Effort) (Frame, error) {
	numbers := segs != nil
	if !numbers && len(chunk) > 0 {
		segs = []Segment{{Class: Other, Bytes: len(chunk)}}
	}
	sizes, ok := measure(segs, len(chunk))
	if !ok || len(chunk) > MaxRawBytes {
		return Frame{}, fmt.Errorf("encode: %w of %d bytes", ErrSegments, len(chunk))
	}
	raw := Frame{Encoding: Raw, RawBytes: len(chunk), Payload: chunk}
	if len(chunk) == 0 || effort == Light && !compressible(chunk) {
		return raw, nil
	}
	s := c.get()
	defer c.pool.Put(s)
	level := zstdFast
	if effort == Strong {
		level = zstdBetter
	}
	best := raw
	if payload := s.encodePlanes(grow(buf, len(chunk))[:0], chunk, planes{sizes}, segs, effort, level); len(payload) < len(best.Payload) {
		best = Frame{Encoding: Planes, RawBytes: len(chunk), Payload: payload}
	}
	if effort == Strong || plain(segs) {
		if payload := s.zstdEncode(chunk, level); len(payload) < len(best.Payload) {
			best = Frame{Encoding: Zstd, RawBytes: len(chunk), Payload: append(grow(buf, len(payload))[:0], payload...)}
		}
	}
	if effort == Strong && numbers {
		if payload := s.encodeMixed(chunk, segs); len(payload) < len(best.Payload) {
			best = Frame{Encoding: Mixed, RawBytes: len(chunk), Payload: append(grow(buf, len(payload))[:0], payload...)}
		}
	}
	return best, nil
}

// encodePlanes appends the planes of chunk to buf. It gives up, returning
// something no shorter than the chunk, when the result would not be shorter.
func (s *scratch) encodePlanes(buf, chunk []byte, p planes, segs []Segment, effort Effort, level zstdLevel) []byte {
	s.planes = grow(s.planes, len(chunk))
	p.split(s.planes, chunk, segs)
	for c, all := range p.classes(s.planes) {
		// Fast tries zstd only where text and structure lie.
		l := level
		if effort != Strong && c != Other {
			l = noZstd
		}
		for stream := range streamsOf(c, all) {
			if buf = s.appendStream(buf, stream, l); len(buf) >= len(chunk) {
				return chunk
			}
		}
	}
	return buf
}

// Decode returns the chunk of want bytes that f stands for, under the segments
// that it was encoded with: in dst's memory if that has room, or f's payload
// itself where it is raw. The error wraps [ErrFrame], [ErrEncoding] or, for
// segments that do not cover want bytes, [ErrSegments].
func (c *Coder) Decode(dst []byte, f Frame, want int, segs []Segment) ([]byte, error) {
	if f.RawBytes != want || want > MaxRawBytes || len(f.Payload) > want {
		return nil, fmt.Errorf("%w: %d bytes in %d, want %d", ErrFrame, f.RawBytes, len(f.Payload), want)
	}
	switch f.Encoding {
	case Raw:
		if len(f.Payload) != want {
			return nil, fmt.Errorf("%w: raw payload of %d bytes for %d", ErrFrame, len(f.Payload), want)
		}
		return f.Payload, nil
	case Zstd, Planes, Mixed:
	default:
		return nil, fmt.Errorf("%w: %s", ErrEncoding, f.Encoding)
	}
	s := c.get()
	defer c.pool.Put(s)
	dst = grow(dst, want)
	if f.Encoding == Zstd {
		return dst, s.zstdDecode(dst, f.Payload)
	}
	if segs == nil && want > 0 {
		segs = []Segment{{Class: Other, Bytes: want}}
	}
	sizes, ok := measure(segs, want)
	if !ok {
		return nil, fmt.Errorf("decode: %w of %d bytes", ErrSegments, want)
	}
	if f.Encoding == Mixed {
		return dst, s.decodeMixed(dst, f.Payload, segs)
	}
	return dst, s.decodePlanes(dst, f.Payload, planes{sizes}, segs)
}

func (s *scratch) decodePlanes(dst, payload []byte, p planes, segs []Segment) (err error) {
	s.planes = grow(s.planes, len(dst))
	for c, all := range p.classes(s.planes) {
		if payload, err = s.decodeStreams(streamsOf(c, all), payload); err != nil {
			return err
		}
	}
	if len(payload) > 0 {
		return fmt.Errorf("%w: %d bytes after the last block", ErrFrame, len(payload))
	}
	p.join(dst, s.planes, segs)
	return nil
}
