package bundle

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Our own few lines for CAR version 1 instead of go-car, which the tests read
// and write with: a reader of ours must know a section's CID before it reads,
// so as to skip over what it does not need, and is strict where go-car, made for
// the files of others, is not.

const (
	cidBytes       = 36        // of every CID that Dunlin uses
	maxHeaderBytes = 256       // of a header with one root
	readAhead      = 256 << 10 // buffered of the file
)

// header is the start of a CAR file.
type header struct {
	Roots   []manifest.CID `cbor:"roots"`
	Version uint64         `cbor:"version"`
}

func encodeHeader(root manifest.CID) ([]byte, error) {
	data, err := manifest.Marshal(&header{Roots: []manifest.CID{root}, Version: 1}, maxHeaderBytes)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(data))), data...), nil
}

// sectionWriter writes sections. One goroutine uses it.
type sectionWriter struct {
	out   *bufio.Writer
	bytes uint64 // written
}

func (w *sectionWriter) write(c manifest.CID, data []byte) error {
	if len(data) > manifest.MaxBlockBytes {
		return fmt.Errorf("block %s of %d bytes, at most %d: %w", c, len(data), manifest.MaxBlockBytes, manifest.ErrFormat)
	}
	head := append(binary.AppendUvarint(nil, uint64(cidBytes+len(data))), c.Bytes()...)
	for _, part := range [][]byte{head, data} {
		n, err := w.out.Write(part)
		w.bytes += uint64(n)
		if err != nil {
			return fmt.Errorf("write bundle: %w", err)
		}
	}
	return nil
}

// sectionReader reads sections, one after the other. One goroutine uses it.
type sectionReader struct {
	file io.ReadSeeker
	in   *bufio.Reader
	at   int64 // of what comes next
	size int64 // of the file

	cid  manifest.CID // of the section that comes next, if known
	left int          // length of its data; -1 if it is not known
}

func newSectionReader(file io.ReadSeeker) (*sectionReader, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	return &sectionReader{file: file, in: bufio.NewReaderSize(file, readAhead), size: size, left: -1}, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// short says what it means that a read ended early.
func (s *sectionReader) short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("it ends at byte %d, in the middle: copy it again", s.size)
	}
	return fmt.Errorf("read bundle at byte %d: %w", s.at, err)
}

// length reads a varint of at most limit in its one shortest form.
func (s *sectionReader) length(limit uint64) (uint64, error) {
	var v uint64
	for i := 0; ; i++ {
		b, err := s.in.ReadByte()
		if err != nil {
			if i == 0 && errors.Is(err, io.EOF) {
				return 0, io.EOF
			}
			return 0, s.short(err)
		}
		s.at++
		if i == 4 || (b == 0 && i > 0) {
			return 0, malformed("a length at byte %d is out of bounds", s.at)
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			break
		}
	}
	if v > limit {
		return 0, malformed("a section of %d bytes at byte %d, at most %d", v, s.at, limit)
	}
	if int64(v) > s.size-s.at {
		return 0, malformed("it ends at byte %d, in the middle of a section that begins at byte %d: copy it again", s.size, s.at)
	}
	return v, nil
}

// header reads the start of the file and returns the root.
func (s *sectionReader) header() (manifest.CID, error) {
	n, err := s.length(maxHeaderBytes)
	if errors.Is(err, io.EOF) {
		return manifest.CID{}, malformed("the file is empty")
	}
	if err != nil {
		return manifest.CID{}, err
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(s.in, data); err != nil {
		return manifest.CID{}, s.short(err)
	}
	s.at += int64(n)
	var version struct {
		Version uint64 `cbor:"version"`
	}
	if manifest.Unmarshal(data, &version, maxHeaderBytes) == nil && version.Version == 2 {
		return manifest.CID{}, malformed("it is a CAR file of version 2: a bundle is one of version 1, which lies inside")
	}
	var h header
	if err := manifest.Unmarshal(data, &h, maxHeaderBytes); err != nil {
		return manifest.CID{}, malformed("it does not begin as a CAR file of version 1 does: %v", err)
	}
	if h.Version != 1 || len(h.Roots) != 1 || h.Roots[0].Codec() != manifest.DagCBOR {
		return manifest.CID{}, malformed("a CAR file of version %d with %d roots, want version 1 and one dag-cbor root", h.Version, len(h.Roots))
	}
	return h.Roots[0], nil
}

// peek returns the CID and the length of the section that comes next, without
// going on; io.EOF at the end of the file.
func (s *sectionReader) peek() (manifest.CID, int, error) {
	if s.left >= 0 {
		return s.cid, s.left, nil
	}
	n, err := s.length(cidBytes + manifest.MaxBlockBytes)
	if err != nil {
		return manifest.CID{}, 0, err
	}
	if n < cidBytes {
		return manifest.CID{}, 0, malformed("a section of %d bytes at byte %d is too short for a CID", n, s.at)
	}
	var text [cidBytes]byte
	if _, err := io.ReadFull(s.in, text[:]); err != nil {
		return manifest.CID{}, 0, s.short(err)
	}
	c, err := manifest.CIDFromBytes(text[:])
	if err != nil {
		return manifest.CID{}, 0, malformed("the section at byte %d: %v", s.at, err)
	}
	s.at += cidBytes
	s.cid, s.left = c, int(n)-cidBytes
	return s.cid, s.left, nil
}

// take reads the section that comes next into buf, which is replaced if it is
// too short, and compares it with its CID.
func (s *sectionReader) take(buf []byte) ([]byte, error) {
	c, n, err := s.peek()
	if err != nil {
		return nil, err
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(s.in, buf); err != nil {
		return nil, s.short(err)
	}
	at := s.at
	s.at, s.left = s.at+int64(n), -1
	if err := c.Verify(buf); err != nil {
		return nil, malformed("the block at byte %d is damaged: %v", at, err)
	}
	return buf, nil
}

// skip goes over the section that comes next without reading its data.
func (s *sectionReader) skip() error {
	_, n, err := s.peek()
	if err != nil {
		return err
	}
	if inside := min(n, s.in.Buffered()); inside < n {
		if _, err := s.file.Seek(int64(n-inside), io.SeekCurrent); err != nil {
			return fmt.Errorf("read bundle at byte %d: %w", s.at, err)
		}
		s.in.Reset(s.file)
	} else if _, err := s.in.Discard(n); err != nil {
		return s.short(err)
	}
	s.at, s.left = s.at+int64(n), -1
	return nil
}

// want returns the length of the section that comes next, which must be the
// block c of at most limit bytes.
func (s *sectionReader) want(c manifest.CID, limit int) (int, error) {
	have, n, err := s.peek()
	if errors.Is(err, io.EOF) {
		return 0, malformed("it ends before block %s: copy it again", c)
	}
	if err != nil {
		return 0, err
	}
	if have != c {
		return 0, malformed("block %s at byte %d is not the one to come, %s", have, s.at, c)
	}
	if n > limit {
		return 0, malformed("block %s of %d bytes, at most %d there", c, n, limit)
	}
	return n, nil
}

// skipMany goes over so many sections.
func (s *sectionReader) skipMany(n int) error {
	for range n {
		switch err := s.skip(); {
		case errors.Is(err, io.EOF):
			return malformed("it ends before all it is to bring: copy it again")
		case err != nil:
			return err
		}
	}
	return nil
}
