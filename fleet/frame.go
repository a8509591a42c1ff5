package fleet

import (
	"bufio"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// A turn travels as a frame: a uvarint of twice the length of what follows,
// plus one if that is zstd; then those bytes.

const (
	// minPackedBytes is the shortest turn worth packing: those with records.
	minPackedBytes  = 192
	zstdWindowBytes = 128 << 10
)

// packer makes and reads frames. Safe for concurrent use.
type packer struct{ *parley.Packer }

func newPacker() (*packer, error) {
	p, err := parley.NewPacker(parley.PackerConfig{Level: zstd.SpeedDefault, Window: zstdWindowBytes, Readers: 1, Most: maxTurnBytes})
	return &packer{p}, err
}

// frame returns content as a frame, whichever way is shorter.
func (p *packer) frame(content []byte) []byte {
	if len(content) >= minPackedBytes {
		if packed := p.Pack(content); len(packed) < len(content) {
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
	data, err := parley.ReadExactly(r, int(size))
	if err != nil {
		return nil, err
	}
	if head&1 == 0 {
		return data, nil
	}
	told, err := p.Size(data)
	if err != nil {
		return nil, fmt.Errorf("turn of %d bytes: %w", size, err)
	}
	content, err := p.Unpack(data, told)
	if err != nil {
		return nil, fmt.Errorf("turn of %d bytes: %w", size, err)
	}
	return content, nil
}
