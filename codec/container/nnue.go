package container

import (
	"encoding/binary"
	"errors"
)

// lebMagic stands before each compressed section of an NNUE net: then come its
// length in bytes, u32, and the numbers (nnue_common.h of Stockfish).
const lebMagic = "COMPRESSED_LEB128"

// leb128 finds the sections, which may lie anywhere behind one another or
// between plain ones of any length.
func (s *search) leb128() error {
	const headBytes = len(lebMagic) + 4
	return s.scan(lebMagic, headBytes, func(at int64, b []byte) (int64, error) {
		start, none := at+int64(headBytes), at+int64(len(lebMagic))
		if len(b) < headBytes {
			return none, nil
		}
		length := int64(binary.LittleEndian.Uint32(b[len(lebMagic):]))
		if length < minLEB || length > s.size-start {
			return none, nil
		}
		p, err := measureLEB(s.r, start, length, s.spend)
		switch {
		case errors.Is(err, ErrCorrupt):
			return none, nil
		case err != nil:
			return 0, err
		}
		return start + length, s.add(p)
	})
}
