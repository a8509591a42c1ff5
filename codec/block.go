package codec

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/klauspost/compress/huff0"
)

// blockBytes is how much of a stream is coded at a time: long enough for
// tables of about 100 bytes not to matter, short enough for huff0
// ([huff0.BlockSizeMax]) and for statistics to follow the tensor.
const blockBytes = 128 << 10

// How a block of a stream is coded. Values are part of the format.
const (
	blockRaw = iota
	blockConstant
	blockHuff0
	blockZstd
)

// appendStream appends a stream, block by block.
func (s *scratch) appendStream(to, stream []byte, level zstdLevel) []byte {
	for block := range slices.Chunk(stream, blockBytes) {
		to = s.appendBlock(to, block, level)
	}
	return to
}

// decodeStream fills stream with the blocks at the start of src and returns the
// rest of src.
func (s *scratch) decodeStream(stream, src []byte) (rest []byte, err error) {
	for block := range slices.Chunk(stream, blockBytes) {
		if src, err = s.decodeBlock(block, src); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// appendStreams appends streams, one after the other.
func (s *scratch) appendStreams(to []byte, streams iter.Seq[[]byte], level zstdLevel) []byte {
	for stream := range streams {
		to = s.appendStream(to, stream, level)
	}
	return to
}

// decodeStreams fills streams with what is at the start of src and returns the
// rest of src.
func (s *scratch) decodeStreams(streams iter.Seq[[]byte], src []byte) (rest []byte, err error) {
	for stream := range streams {
		if src, err = s.decodeStream(stream, src); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// appendBlock appends src, one block, coded as small as try allows: huff0
// always, zstd at the level given unless that is noZstd.
func (s *scratch) appendBlock(to, src []byte, level zstdLevel) []byte {
	if constant(src) {
		return append(to, blockConstant, src[0])
	}
	mode, best := byte(blockRaw), src
	s.huff.Reuse = huff0.ReusePolicyNone
	if out, _, err := huff0.Compress4X(src, &s.huff); err == nil && len(out) < len(best)-3 {
		mode, best = blockHuff0, out
	}
	if level != noZstd {
		if out := s.zstdEncode(src, level); len(out) < len(best)-3 {
			mode, best = blockZstd, out
		}
	}
	to = append(to, mode)
	if mode != blockRaw {
		to = binary.AppendUvarint(to, uint64(len(best)))
	}
	return append(to, best...)
}

// decodeBlock fills to with the block at the start of src and returns the rest
// of src.
func (s *scratch) decodeBlock(to, src []byte) ([]byte, error) {
	if len(src) < 2 {
		return nil, fmt.Errorf("%w: ends before a block of %d bytes", ErrFrame, len(to))
	}
	mode, src := src[0], src[1:]
	switch mode {
	case blockRaw:
		if len(src) < len(to) {
			return nil, fmt.Errorf("%w: ends within a block of %d bytes", ErrFrame, len(to))
		}
		return src[copy(to, src):], nil
	case blockConstant:
		for i := range to {
			to[i] = src[0]
		}
		return src[1:], nil
	}
	length, n := binary.Uvarint(src)
	if n <= 0 || length > uint64(len(src)-n) || length >= uint64(len(to)) {
		return nil, fmt.Errorf("%w: bad length of a block", ErrFrame)
	}
	coded, rest := src[n:n+int(length)], src[n+int(length):]
	switch mode {
	case blockHuff0:
		return rest, s.huff0Decode(to, coded)
	case blockZstd:
		return rest, s.zstdDecode(to, coded)
	}
	return nil, fmt.Errorf("%w: block of kind %d", ErrFrame, mode)
}

// huff0Decode fills to exactly, or fails.
func (s *scratch) huff0Decode(to, coded []byte) error {
	if len(to) > blockBytes {
		return fmt.Errorf("%w: huff0 block of %d bytes", ErrFrame, len(to))
	}
	_, rest, err := huff0.ReadTable(coded, &s.huff)
	if err != nil {
		return fmt.Errorf("%w: huff0 table: %w", ErrFrame, err)
	}
	out, err := s.huff.Decoder().Decompress4X(to[:0:len(to)], rest)
	if err != nil {
		return fmt.Errorf("%w: huff0: %w", ErrFrame, err)
	}
	if len(out) != len(to) {
		return fmt.Errorf("%w: huff0 block holds %d bytes, want %d", ErrFrame, len(out), len(to))
	}
	return nil
}

func constant(b []byte) bool {
	for _, c := range b[1:] {
		if c != b[0] {
			return false
		}
	}
	return true
}
