package parley

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// PackerConfig is what a [Packer] is made of.
type PackerConfig struct {
	Level   zstd.EncoderLevel
	Window  int // bytes, which bounds the memory of both coders
	Readers int // that unpack at once without waiting
	Most    int // bytes that anything unpacked may have
}

// Packer packs short messages as zstd frames that tell their content's size.
// Safe for concurrent use; the caller closes it.
type Packer struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	most    int
}

// NewPacker sets up the coders.
func NewPacker(c PackerConfig) (*Packer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderLevel(c.Level), zstd.WithWindowSize(c.Window), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(c.Readers), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(c.Most)), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	return &Packer{encoder: encoder, decoder: decoder, most: c.Most}, nil
}

// Close frees the coders.
func (p *Packer) Close() {
	_ = p.encoder.Close() // nothing is buffered
	p.decoder.Close()
}

// Pack returns content as a zstd frame.
func (p *Packer) Pack(content []byte) []byte { return p.encoder.EncodeAll(content, nil) }

// Size returns how many bytes a packed message says that it unpacks to. Errors
// wrap manifest.ErrFormat: no zstd frame, one that does not say, or more than
// the packer takes.
func (p *Packer) Size(packed []byte) (int, error) {
	header := new(zstd.Header)
	if header.Decode(packed) != nil || !header.HasFCS || header.FrameContentSize > uint64(p.most) {
		return 0, fmt.Errorf("zstd header: %w", manifest.ErrFormat)
	}
	return int(header.FrameContentSize), nil
}

// Unpack returns what was packed, of exactly size bytes, which [Packer.Size]
// told. Errors wrap manifest.ErrFormat.
func (p *Packer) Unpack(packed []byte, size int) ([]byte, error) {
	content, err := p.decoder.DecodeAll(packed, make([]byte, 0, size))
	if err != nil || len(content) != size {
		return nil, fmt.Errorf("zstd gives %d bytes, want %d: %w", len(content), size, manifest.ErrFormat)
	}
	return content, nil
}
