package delta

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// FormatVersion is the version of the format that this build writes and reads.
// Deltas of one version are the same bytes wherever they are made.
const FormatVersion = 2

// magic begins every delta.
const magic = "DL"

const (
	targetBytes = 12 // of the new file's sha256, kept in the header
	sketchBytes = 3  // of the old file's sketch
)

// header is what precedes the records of a delta.
type header struct {
	oldSize, newSize int64 // bytes of the files
	oldSketch        [sketchBytes]byte
	target           [targetBytes]byte
}

func (h *header) append(to []byte) []byte {
	to = append(to, magic...)
	to = append(to, FormatVersion)
	to = binary.AppendUvarint(to, uint64(h.oldSize))
	to = binary.AppendVarint(to, h.newSize-h.oldSize)
	to = append(to, h.oldSketch[:]...)
	return append(to, h.target[:]...)
}

func readHeader(r *bufio.Reader) (h header, err error) {
	var start [len(magic) + 1]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return h, short(err, "header")
	}
	if string(start[:len(magic)]) != magic {
		return h, fmt.Errorf("%w: it does not begin with %q", ErrDelta, magic)
	}
	if start[len(magic)] != FormatVersion {
		return h, fmt.Errorf("%w %d, this build knows %d: update dunlin", ErrVersion, start[len(magic)], FormatVersion)
	}
	size, err := readUvarint(r, manifest.MaxFileBytes)
	if err != nil {
		return h, err
	}
	more, err := readUvarint(r, 2*manifest.MaxFileBytes+1) // zigzag, as binary.AppendVarint
	if err != nil {
		return h, err
	}
	h.oldSize = int64(size)
	h.newSize = h.oldSize + (int64(more>>1) ^ -int64(more&1))
	if h.newSize < 0 || h.newSize > manifest.MaxFileBytes {
		return h, fmt.Errorf("%w: new file of %d bytes", ErrDelta, h.newSize)
	}
	if _, err := io.ReadFull(r, h.oldSketch[:]); err != nil {
		return h, short(err, "header")
	}
	if _, err := io.ReadFull(r, h.target[:]); err != nil {
		return h, short(err, "header")
	}
	return h, nil
}

// readUvarint reads a number in its shortest form, at most limit.
func readUvarint(r io.ByteReader, limit uint64) (uint64, error) {
	var v uint64
	for i := 0; ; i++ {
		b, err := r.ReadByte()
		if err != nil {
			return 0, short(err, "number")
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 || v > limit {
				return 0, fmt.Errorf("%w: number %d, at most %d", ErrDelta, v, limit)
			}
			return v, nil
		}
		if i == 8 {
			return 0, fmt.Errorf("%w: number of more than nine bytes", ErrDelta)
		}
	}
}

// short turns the end of the input into [ErrDelta]; other errors of reading are
// the reader's.
func short(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends within a %s", ErrDelta, what)
	}
	return fmt.Errorf("read delta: %w", err)
}

// The sketch of a file: so many runs of so many bytes, evenly spread.
const (
	sketchRuns     = 64
	sketchRunBytes = 4 << 10
)

// sketch returns a few bytes that tell most files apart without reading all of
// them. It says early and cheaply that the old file is another one; that the
// result is right is for the digest of the new file to say.
func sketch(r io.ReaderAt, size int64) (s [sketchBytes]byte, err error) {
	h := sha256.New()
	buf := make([]byte, sketchRunBytes)
	if size <= sketchRuns*sketchRunBytes {
		if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
			return s, fmt.Errorf("read old file: %w", err)
		}
	} else {
		for i := range int64(sketchRuns) {
			if err := readFull(r, buf, (size-sketchRunBytes)/(sketchRuns-1)*i); err != nil {
				return s, fmt.Errorf("read old file: %w", err)
			}
			h.Write(buf)
		}
	}
	copy(s[:], h.Sum(nil))
	return s, nil
}

// digest returns what the header says of a new file.
func digest(ctx context.Context, r io.ReaderAt, size int64) (d [targetBytes]byte, err error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, &contextReader{ctx, io.NewSectionReader(r, 0, size)}, make([]byte, 256<<10))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return d, fmt.Errorf("read new file: %w", err)
	}
	copy(d[:], h.Sum(nil))
	return d, nil
}

// contextReader reads until the context ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // as long as one call of digest
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
