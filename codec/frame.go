package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dunlin-mesh/dunlin/manifest"
)

var (
	// ErrEncoding says that a frame uses a version, encoding or basis that this
	// node does not know: ask for a plain frame, or ask somebody else.
	ErrEncoding = errors.New("unknown frame encoding")
	// ErrFrame says that a frame is malformed or does not fit its chunk: its
	// sender is broken or hostile.
	ErrFrame = errors.New("malformed frame")
	// ErrSegments says that the segments given do not cover the chunk: a
	// mistake of the caller.
	ErrSegments = errors.New("segments do not cover the chunk")
)

// Encoding says how a frame's payload is to be read.
type Encoding byte

// The encodings of version 1. Values are part of the format.
const (
	Raw    Encoding = 0
	Zstd   Encoding = 1
	Planes Encoding = 2
	Mixed  Encoding = 3
)

// String returns the name used in logs and metrics.
func (e Encoding) String() string {
	switch e {
	case Raw:
		return "raw"
	case Zstd:
		return "zstd"
	case Planes:
		return "planes"
	case Mixed:
		return "mixed"
	}
	return fmt.Sprintf("encoding %d", byte(e))
}

const (
	version = 1
	noBasis = 0
	// MaxHeaderBytes bounds what precedes the payload.
	MaxHeaderBytes = 3 + binary.MaxVarintLen32
	// MaxRawBytes bounds the bytes that a frame stands for: a chunk, or a block.
	MaxRawBytes = max(manifest.MaxChunkBytes, manifest.MaxBlockBytes)
	// MaxFrameBytes bounds a frame.
	MaxFrameBytes = MaxHeaderBytes + MaxRawBytes
)

// Frame is a coded chunk.
type Frame struct {
	Encoding Encoding
	// RawBytes is the length of the chunk, 0 to [MaxRawBytes].
	RawBytes int
	// Payload is the chunk as encoded; at most RawBytes long. It may share
	// memory with what it was made from.
	Payload []byte
}

// AppendHeader appends what precedes the payload on the wire.
func (f Frame) AppendHeader(to []byte) []byte {
	to = append(to, version, byte(f.Encoding), noBasis)
	return binary.AppendUvarint(to, uint64(f.RawBytes))
}

// ParseFrame reads a frame, all of b. The payload shares b's memory. The error
// wraps [ErrEncoding] or [ErrFrame].
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < 4 {
		return Frame{}, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	if b[0] != version || b[1] > byte(Mixed) || b[2] != noBasis {
		return Frame{}, fmt.Errorf("%w: version %d, encoding %d, basis %d: update dunlin", ErrEncoding, b[0], b[1], b[2])
	}
	raw, n := binary.Uvarint(b[3:])
	if n <= 0 || n > 1 && b[2+n] == 0 || raw > MaxRawBytes {
		return Frame{}, fmt.Errorf("%w: bad length of the chunk", ErrFrame)
	}
	f := Frame{Encoding: Encoding(b[1]), RawBytes: int(raw), Payload: b[3+n:]}
	if len(f.Payload) > f.RawBytes || f.Encoding == Raw && len(f.Payload) != f.RawBytes {
		return Frame{}, fmt.Errorf("%w: %s payload of %d bytes for %d", ErrFrame, f.Encoding, len(f.Payload), f.RawBytes)
	}
	return f, nil
}
