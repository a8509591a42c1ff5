package gossip

import (
	"bufio"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/dunlin-mesh/dunlin/internal/parley"
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

// compressor packs frames. Safe for concurrent use.
type compressor struct{ *parley.Packer }

func newCompressor() (*compressor, error) {
	p, err := parley.NewPacker(parley.PackerConfig{
		Level: zstd.SpeedBestCompression, Window: zstdWindowBytes, Readers: 2, Most: trust.MaxUpdateBytes,
	})
	return &compressor{p}, err
}

// appendFrame appends content as a frame, whichever way is shorter.
func (c *compressor) appendFrame(dst, content []byte) []byte {
	if len(content) >= minCompressBytes {
		stored := c.Pack(content)
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
			return nil, parley.CutShort(err)
		}
		if stored >= size {
			return nil, fmt.Errorf("frame of %d bytes stored as %d: %w", size, stored, manifest.ErrFormat)
		}
	}
	data, err := parley.ReadExactly(r, int(stored))
	if err != nil || !packed {
		return data, err
	}
	if told, err := c.Size(data); err != nil || told != int(size) {
		return nil, fmt.Errorf("frame of %d bytes: zstd header: %w", size, manifest.ErrFormat)
	}
	content, err := c.Unpack(data, int(size))
	if err != nil {
		return nil, fmt.Errorf("frame of %d bytes: %w", size, err)
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
