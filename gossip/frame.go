package gossip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// A frame is a uvarint of twice the length of the content, plus one if it is
// stored as zstd; then, only for zstd, a uvarint of the stored length; then the
// stored bytes.

// minCompressBytes is the shortest content worth trying: the header of a zstd
// frame and entropy tables eat what shorter ones could save.
const minCompressBytes = 128

// zstdWindowBytes bounds the memory of both coders; metadata is short.
const zstdWindowBytes = 256 << 10

// compressor holds the zstd coders of a node. Safe for concurrent use.
type compressor struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCompressor() (*compressor, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(zstdWindowBytes), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(trust.MaxUpdateBytes), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	return &compressor{encoder: encoder, decoder: decoder}, nil
}

// appendFrame appends content as a frame, whichever way is shorter.
func (c *compressor) appendFrame(dst, content []byte) []byte {
	if len(content) >= minCompressBytes {
		stored := c.encoder.EncodeAll(content, nil)
		if len(stored)+binary.MaxVarintLen32 < len(content) {
			dst = binary.AppendUvarint(dst, uint64(len(content))<<1|1)
			dst = binary.AppendUvarint(dst, uint64(len(stored)))
			return append(dst, stored...)
		}
	}
	return append(binary.AppendUvarint(dst, uint64(len(content))<<1), content...)
}

// readFrame reads a frame of at most limit bytes of content. io.EOF means that
// there is none; errors of the form wrap manifest.ErrFormat.
func (c *compressor) readFrame(r *bufio.Reader, limit int) ([]byte, error) {
	head, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	size, packed := head>>1, head&1 == 1
	if size > uint64(limit) {
		return nil, fmt.Errorf("frame of %d bytes, at most %d: %w", size, limit, manifest.ErrFormat)
	}
	stored := size
	if packed {
		if stored, err = binary.ReadUvarint(r); err != nil {
			return nil, cutShort(err)
		}
		if stored >= size {
			return nil, fmt.Errorf("frame of %d bytes stored as %d: %w", size, stored, manifest.ErrFormat)
		}
	}
	data, err := readExactly(r, int(stored))
	if err != nil || !packed {
		return data, err
	}
	if header := new(zstd.Header); header.Decode(data) != nil || !header.HasFCS || header.FrameContentSize != size {
		return nil, fmt.Errorf("frame of %d bytes: zstd header: %w", size, manifest.ErrFormat)
	}
	content, err := c.decoder.DecodeAll(data, make([]byte, 0, size))
	if err != nil || uint64(len(content)) != size {
		return nil, fmt.Errorf("frame of %d bytes: zstd gives %d: %w", size, len(content), manifest.ErrFormat)
	}
	return content, nil
}

// peekFrame returns the length of the content of the next frame, without
// taking anything from r.
func peekFrame(r *bufio.Reader) (uint64, error) {
	for n := 1; n <= binary.MaxVarintLen64; n++ {
		head, err := r.Peek(n)
		if err != nil {
			return 0, err
		}
		if head[n-1] < 0x80 {
			value, _ := binary.Uvarint(head)
			return value >> 1, nil
		}
	}
	return 0, fmt.Errorf("length of a frame: %w", manifest.ErrFormat)
}

// readExactly reads n bytes and allocates as they arrive, not as they are
// promised.
func readExactly(r io.Reader, n int) ([]byte, error) {
	const step = 64 << 10
	data := make([]byte, 0, min(n, step))
	for len(data) < n {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, min(n, 2*cap(data))), data...)
		}
		got := data[len(data):min(n, cap(data))]
		if _, err := io.ReadFull(r, got); err != nil {
			return nil, cutShort(err)
		}
		data = data[:len(data)+len(got)]
	}
	return data, nil
}

// cutShort turns the end of a stream inside a frame into an error.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
