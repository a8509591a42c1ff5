package container

import (
	"bytes"
	"encoding/binary"
)

// Of RFC 1952, 2.3: the magic with the only method, deflate; flags.
const (
	gzipMagic        = "\x1f\x8b\x08"
	gzipHeaderBytes  = 10
	gzipTrailerBytes = 8
	gzipHeaderCRC    = 1 << 1
	gzipExtra        = 1 << 2
	gzipName         = 1 << 3
	gzipComment      = 1 << 4

	// maxGzipHeader is the longest header that is read, far above a path.
	maxGzipHeader = 16 << 10
)

// gzip finds the streams of the members of a gzip file, one behind the other.
func (s *search) gzip() error {
	for at := int64(0); ; {
		head := make([]byte, max(0, min(maxGzipHeader, s.size-at)))
		if err := s.readAt(head, at); err != nil {
			return err
		}
		header := gzipHeader(head)
		if header == 0 {
			return nil
		}
		start := at + int64(header)
		p, ok, err := s.deflated(start, s.size, minDeflated)
		if err != nil {
			return err
		}
		end := p.Offset + p.Length
		if ok {
			err = s.add(p)
		} else {
			var known bool
			if end, known, err = s.streamEnd(start); err == nil && !known {
				return nil
			}
		}
		if err != nil {
			return err
		}
		at = end + gzipTrailerBytes
	}
}

// gzipHeader returns the length of the header that b starts with, 0 if there is
// none or it is too long.
func gzipHeader(b []byte) int {
	if len(b) < gzipHeaderBytes || !bytes.HasPrefix(b, []byte(gzipMagic)) {
		return 0
	}
	flags, n := b[3], gzipHeaderBytes
	if flags&gzipExtra != 0 {
		if len(b) < n+2 {
			return 0
		}
		n += 2 + int(binary.LittleEndian.Uint16(b[n:]))
	}
	for _, field := range []byte{gzipName, gzipComment} {
		if flags&field != 0 {
			if n > len(b) {
				return 0
			}
			i := bytes.IndexByte(b[n:], 0)
			if i < 0 {
				return 0
			}
			n += i + 1
		}
	}
	if flags&gzipHeaderCRC != 0 {
		n += 2
	}
	if n > len(b) {
		return 0
	}
	return n
}
