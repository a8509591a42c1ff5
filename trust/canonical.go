package trust

import (
	"bytes"
	"errors"
	"fmt"
)

// maxDepth bounds nesting of metadata; TUF's deepest (a hash of a target)
// needs 6, our custom fields no more.
const maxDepth = 10

// The envelope of every document, in the only spelling that is accepted.
var (
	envelopeHead = []byte(`{"signatures":`)
	envelopeMid  = []byte(`,"signed":`)
)

// splitCanonical checks that data is one signed document in canonical JSON
// (http://wiki.laptop.org/go/Canonical_JSON, which TUF signs over), restricted
// further so that there is exactly one spelling of each document and nothing
// for two parsers to disagree about: no white space, keys in ascending order
// and so unique, strings of printable ASCII without escapes, integers within
// ±MaxVersion, no null, bounded nesting. Returned is the signed part, which is
// byte for byte what the signatures cover; it shares data.
//
// Plain encoding/json would let through duplicate and case-folded keys, and
// nulls that go-tuf dereferences.
func splitCanonical(data []byte) (signed []byte, err error) {
	s := scanner{data: data}
	if err := s.literal(envelopeHead); err != nil {
		return nil, err
	}
	if err := s.value(1); err != nil {
		return nil, err
	}
	if err := s.literal(envelopeMid); err != nil {
		return nil, err
	}
	from := s.at
	if err := s.value(1); err != nil {
		return nil, err
	}
	to := s.at
	if err := s.literal([]byte("}")); err != nil {
		return nil, err
	}
	if s.at != len(data) {
		return nil, s.fail("bytes after the document")
	}
	return data[from:to], nil
}

// scanner walks strict canonical JSON without allocating.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) fail(reason string) error {
	return fmt.Errorf("%w: byte %d: %s", ErrMalformed, s.at, reason)
}

// peek returns the byte ahead, 0 at the end (0 is valid nowhere).
func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *scanner) literal(want []byte) error {
	if !bytes.HasPrefix(s.data[s.at:], want) {
		return s.fail(fmt.Sprintf("want %s", want))
	}
	s.at += len(want)
	return nil
}

func (s *scanner) value(depth int) error {
	if depth > maxDepth {
		return s.fail("nested too deeply")
	}
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth)
	case c == '[':
		return s.array(depth)
	case c == '"':
		_, err := s.text()
		return err
	case c == 't':
		return s.literal([]byte("true"))
	case c == 'f':
		return s.literal([]byte("false"))
	case c == '-' || c >= '0' && c <= '9':
		return s.integer()
	default:
		return s.fail("no object, array, string, integer or boolean in canonical form")
	}
}

func (s *scanner) object(depth int) error {
	s.at++
	if s.peek() == '}' {
		s.at++
		return nil
	}
	var last []byte
	for {
		key, err := s.text()
		if err != nil {
			return err
		}
		if last != nil && bytes.Compare(last, key) >= 0 {
			return s.fail("keys are not unique and ascending")
		}
		last = key
		if err := s.literal([]byte(":")); err != nil {
			return err
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if done, err := s.next('}'); done || err != nil {
			return err
		}
	}
}

func (s *scanner) array(depth int) error {
	s.at++
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if done, err := s.next(']'); done || err != nil {
			return err
		}
	}
}

// next reads a comma, or end and then says that the container is done.
func (s *scanner) next(end byte) (done bool, err error) {
	switch s.peek() {
	case end:
		s.at++
		return true, nil
	case ',':
		s.at++
		return false, nil
	default:
		return false, s.fail("want a comma or the end")
	}
}

// text reads a string and returns what is between its quotes.
func (s *scanner) text() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("want a string")
	}
	s.at++
	from := s.at
	for {
		switch c := s.peek(); {
		case c == '"':
			s.at++
			// Never nil, so that an empty key is a key.
			return s.data[from : s.at-1 : s.at-1], nil
		case c < ' ' || c > '~' || c == '\\' || c == '<' || c == '>' || c == '&':
			// The last three are what encoding/json would escape.
			return nil, s.fail("string with a character outside plain ASCII")
		}
		s.at++
	}
}

func (s *scanner) integer() error {
	negative := s.peek() == '-'
	if negative {
		s.at++
	}
	from, n := s.at, int64(0)
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		n = n*10 + int64(c-'0')
		if n > MaxVersion {
			return s.fail("integer out of range")
		}
		s.at++
	}
	digits := s.at - from
	if digits == 0 || digits > 1 && s.data[from] == '0' || negative && n == 0 {
		return s.fail("integer is not canonical")
	}
	if c := s.peek(); c == '.' || c == 'e' || c == 'E' {
		return s.fail("number is not an integer")
	}
	return nil
}

// asMalformed makes a decoder's error one of ours.
func asMalformed(err error) error {
	if err == nil || errors.Is(err, ErrMalformed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
