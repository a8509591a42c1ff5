package parley

import (
	"errors"
	"fmt"
)

// FanOut is how many parts a range of keys has: one for each next nibble.
const FanOut = 16

// ComparePrefix says where key lies: before (-1), in (0) or after (1) the range
// of keys that begin with prefix, one nibble a byte. The prefix is no longer
// than the key has nibbles.
func ComparePrefix(key, prefix []byte) int {
	for i, want := range prefix {
		nibble := key[i/2] >> 4
		if i%2 == 1 {
			nibble = key[i/2] & 0x0f
		}
		switch {
		case nibble < want:
			return -1
		case nibble > want:
			return 1
		}
	}
	return 0
}

// Shape bounds what one side says of a range: all entries in it, or a digest
// for each part.
type Shape struct {
	Depth     int // nibbles of a prefix, at most; ranges of so many have no parts
	Entries   int // at most
	PartBytes int // of the digest of a part that is not empty
}

// Check says what is wrong with a range of that prefix, which has so many
// entries and these parts.
func (s Shape) Check(prefix []byte, entries int, parts [][]byte) error {
	switch {
	case len(prefix) > s.Depth:
		return fmt.Errorf("prefix of %d nibbles, at most %d allowed", len(prefix), s.Depth)
	case entries > s.Entries:
		return fmt.Errorf("%d entries, at most %d allowed", entries, s.Entries)
	case len(parts) != 0 && (len(parts) != FanOut || len(prefix) == s.Depth || entries > 0):
		return errors.New("parts do not fit a section")
	}
	for _, nibble := range prefix {
		if nibble >= FanOut {
			return fmt.Errorf("nibble %d in the prefix", nibble)
		}
	}
	for _, part := range parts {
		if len(part) != 0 && len(part) != s.PartBytes {
			return fmt.Errorf("digest of %d bytes, want %d", len(part), s.PartBytes)
		}
	}
	return nil
}
