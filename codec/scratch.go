package codec

import (
	"fmt"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// zstdLevel picks one of the encoders that a scratch keeps.
type zstdLevel int

const (
	noZstd     zstdLevel = iota
	zstdFast             // tables of 0.3 MiB
	zstdBetter           // tables of 4 MiB; the next level would take 34 MiB for a few bytes
	zstdLevels
)

// scratch is what one Encode or Decode needs, used by one goroutine at a time.
type scratch struct {
	huff     huff0.Scratch
	encoders [zstdLevels]*zstd.Encoder
	decoder  *zstd.Decoder
	planes   []byte // streams of a chunk
	zstd     []byte // what zstdEncode returned last

	// Of mixed frames:
	mixed, coded, bits []byte    // the payload, a class of it, and its mixed bits
	segs               []Segment // of the chunk, what was guessed in its place
	numbers            *numbers
	heads, low         []uint16 // of the elements of a class
	lower              []byte   // planes of low
}

// grow returns buf with length n.
func grow[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

// zstdEncode returns src as a zstd frame; it is valid until the next call.
func (s *scratch) zstdEncode(src []byte, level zstdLevel) []byte {
	enc := s.encoders[level]
	if enc == nil {
		speed := zstd.SpeedFastest
		if level == zstdBetter {
			speed = zstd.SpeedBetterCompression
		}
		var err error
		enc, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(speed),
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), // the chunk's digest is the check
			zstd.WithWindowSize(1<<20),
			zstd.WithLowerEncoderMem(true),
			zstd.WithSingleSegment(true))
		if err != nil {
			panic(err) // constant options: only a wrong edit above gets here
		}
		s.encoders[level] = enc
	}
	s.zstd = enc.EncodeAll(src, s.zstd[:0])
	return s.zstd
}

// zstdDecode fills to exactly, or fails.
func (s *scratch) zstdDecode(to, coded []byte) error {
	if s.decoder == nil {
		dec, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(MaxRawBytes),
			zstd.WithDecoderMaxMemory(MaxRawBytes),
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic(err) // constant options: only a wrong edit above gets here
		}
		s.decoder = dec
	}
	out, err := s.decoder.DecodeAll(coded, to[:0:len(to)])
	if err != nil {
		return fmt.Errorf("%w: zstd: %w", ErrFrame, err)
	}
	if len(out) != len(to) || len(to) > 0 && &out[0] != &to[0] {
		return fmt.Errorf("%w: zstd frame holds %d bytes, want %d", ErrFrame, len(out), len(to))
	}
	return nil
}
