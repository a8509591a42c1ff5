package container

import (
	"errors"
	"io"
)

// hdfMagic starts an HDF5 file, whose datasets may lie in chunks, each a zlib
// stream: the superblock's signature, HDF5 file format 3.0, II.A.
const hdfMagic = "\x89HDF\r\n\x1a\n"

const (
	zlibHeaderBytes = 2
	minZlib         = 4096 // unpacked bytes from which a zlib stream is looked for
)

// zlibHeader says whether b starts with a zlib header (RFC 1950, 2.2): deflate,
// a window of 32 KiB, no dictionary, and a check that fits.
func zlibHeader(b []byte) bool {
	return len(b) > zlibHeaderBytes && b[0] == 0x78 && (int(b[0])<<8|int(b[1]))%31 == 0 && b[1]&0x20 == 0
}

// zlib looks at the stream whose header is at an offset, and returns where to
// go on.
func (s *search) zlib(at int64) (next int64, err error) {
	start := at + zlibHeaderBytes
	plausible, err := s.plausible(start)
	if err != nil || !plausible {
		return start, err
	}
	p, ok, err := s.deflated(start, s.size, minZlib)
	if err != nil || !ok {
		return start, err
	}
	return p.Offset + p.Length, s.add(p)
}

// plausible says whether a stream of minZlib bytes seems to start at offset:
// most bytes that look like a header are none.
func (s *search) plausible(offset int64) (bool, error) {
	in := &s.prover.in
	if err := s.spend(minZlib); err != nil { // what a look costs, however little there is to unpack
		return false, err
	}
	if err := in.reset(s.r, offset, s.size); err != nil {
		return false, err
	}
	var head [minZlib]byte
	_, err := io.ReadFull(&spender{s, in}, head[:])
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && in.section.err == nil:
		return false, nil
	}
	return err == nil, err
}

// zlibAnywhere looks for zlib streams at every byte of the file.
func (s *search) zlibAnywhere() error {
	return s.scan("\x78", zlibHeaderBytes+1, func(at int64, b []byte) (int64, error) {
		if !zlibHeader(b) {
			return at + 1, nil
		}
		return s.zlib(at)
	})
}
