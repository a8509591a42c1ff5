package container

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

const pieceBytes = 32 << 10

// inflater reads what a raw deflate stream in a file encodes. It reads no
// byte past the stream's end, so that the end is known.
type inflater struct {
	section section
	input   *bufio.Reader
	stream  io.ReadCloser
}

// section is a run of a file, read in order.
type section struct {
	r       io.ReaderAt
	at, end int64
	err     error // the first of r, other than the end; it stays
}

func (s *section) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), s.end-s.at)]
	if s.err != nil {
		return 0, s.err
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := s.r.ReadAt(p, s.at)
	s.at += int64(n)
	switch {
	case n > 0:
		return n, nil
	case err == nil || errors.Is(err, io.EOF): // the file has shrunk
		err = io.ErrUnexpectedEOF
	}
	s.err = fmt.Errorf("read at byte %d: %w", s.at, err)
	return 0, s.err
}

// reset makes the inflater read the stream that starts at offset and ends
// before end.
func (f *inflater) reset(r io.ReaderAt, offset, end int64) error {
	f.section = section{r: r, at: offset, end: end}
	if f.input == nil {
		f.input = bufio.NewReaderSize(&f.section, pieceBytes)
		f.stream = flate.NewReader(f.input)
		return nil
	}
	f.input.Reset(&f.section)
	return f.stream.(flate.Resetter).Reset(f.input, nil)
}

// Read reads unpacked bytes. Its errors are io.EOF where the stream says that
// it ends, ErrCorrupt, and those of the file.
func (f *inflater) Read(p []byte) (int, error) {
	n, err := f.stream.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // flate returns io.EOF itself
		if f.section.err != nil {
			err = f.section.err
		} else {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return n, err
}

// end returns where the bytes end that have been used so far.
func (f *inflater) end() int64 { return f.section.at - int64(f.input.Buffered()) }

func (p *Pack) inflate(r io.ReaderAt, w io.Writer) error {
	var f inflater
	if err := f.reset(r, p.Offset, p.Offset+p.Length); err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{w}, io.LimitReader(&f, p.Unpacked), make([]byte, pieceBytes))
	if err == nil {
		var more [1]byte
		extra, end := io.ReadFull(&f, more[:])
		switch {
		case extra > 0 || n < p.Unpacked:
			err = fmt.Errorf("%w: it unpacks to other than %d bytes", ErrCorrupt, p.Unpacked)
		case !errors.Is(end, io.EOF):
			err = end
		case f.end() != p.Offset+p.Length:
			err = fmt.Errorf("%w: it ends at byte %d", ErrCorrupt, f.end())
		}
	}
	if err != nil {
		return fmt.Errorf("unpack deflate run of bytes %d+%d: %w", p.Offset, p.Length, err)
	}
	return nil
}

// onlyWriter hides ReadFrom, so that pieces stay small.
type onlyWriter struct{ io.Writer }
