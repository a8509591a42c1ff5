package fleet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// A turn travels as a frame: a uvarint of twice the length of what follows,
// plus one if that is zstd; then those bytes.

const (
	// minPackedBytes is the shortest turn worth packing: those with records.
	minPackedBytes  = 192
	zstdWindowBytes = 128 << 10
)

// packer holds the zstd coders of a fleet. Safe for concurrent use.
type packer struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newPacker() (*packer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(zstdWindowBytes), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxTurnBytes), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	return &packer{encoder: encoder, decoder: decoder}, nil
}

func (p *packer) close() {
	_ = p.encoder.Close() // nothing is buffered
	p.decoder.Close()
}

// frame returns content as a frame, whichever way is shorter.
func (p *packer) frame(content []byte) []byte {
	if len(content) >= minPackedBytes {
		if packed := p.encoder.EncodeAll(content, nil); len(packed) < len(content) {
			return append(binary.AppendUvarint(nil, uint64(len(packed))<<1|1), packed...)
		}
	}
	return append(binary.AppendUvarint(nil, uint64(len(content))<<1), content...)
}

// read reads a frame of at most maxTurnBytes of content. io.EOF means that
// there is none; errors of the form wrap manifest.ErrFormat.
func (p *packer) read(r *bufio.Reader) ([]byte, error) {
	head, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	size := head >> 1
	if size > maxTurnBytes {
		return nil, fmt.Errorf("turn of %d bytes, at most %d: %w", size, maxTurnBytes, manifest.ErrFormat)
	}
	data := make([]byte, 0, min(size, 4096)) // more as it arrives, not as it is promised
	for uint64(len(data)) < size {
		step := min(size-uint64(len(data)), 4096)
		data = append(data, make([]byte, step)...)
		if _, err := io.ReadFull(r, data[uint64(len(data))-step:]); err != nil {
			return nil, cutShort(err)
		}
	}
	if head&1 == 0 {
		return data, nil
	}
	header := new(zstd.Header)
	if header.Decode(data) != nil || !header.HasFCS || header.FrameContentSize > maxTurnBytes {
		return nil, fmt.Errorf("turn of %d bytes: zstd header: %w", size, manifest.ErrFormat)
	}
	content, err := p.decoder.DecodeAll(data, make([]byte, 0, header.FrameContentSize))
	if err != nil || uint64(len(content)) != header.FrameContentSize {
		return nil, fmt.Errorf("turn of %d bytes: zstd gives %d: %w", size, len(content), manifest.ErrFormat)
	}
	return content, nil
}

// cutShort turns the end of a stream inside a frame into an error.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
