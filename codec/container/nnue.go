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
	const lengthBytes = 4
	return s.scan(lebMagic, len(lebMagic)+lengthBytes, func(at int64, b []byte) (int64, error) {
		at += int64(len(b))
		if len(b) < len(lebMagic)+lengthBytes {
			return s.size, nil
		}
		length := int64(binary.LittleEndian.Uint32(b[len(lebMagic):]))
		if length < minLEB || length > s.size-at {
			return at, nil
		}
		p, err := measureLEB(s.r, at, length, s.spend)
		switch {
		case errors.Is(err, ErrCorrupt):
			return at, nil
		case err != nil:
			return 0, err
		}
		s.packs = append(s.packs, p)
		return at + length, nil
	})
}
