package site

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// ProtocolID names the protocol between two members.
const ProtocolID protocol.ID = "/dunlin/site/1"

// Bounds of messages. Both sides keep to them and end a stream that does not.
const (
	// MaxMessageBytes bounds a message.
	MaxMessageBytes = 8 << 10
	// MaxErrands bounds the errands that a member tells of.
	MaxErrands = 64
	// MaxPins bounds the publishers that a member tells of.
	MaxPins = 64

	nonceBytes = 8
	pinBytes   = 8
)

// message is one of its fields; the key names which.
type message struct {
	Ping  []byte `cbor:"ping,omitempty"`  // nonceBytes
	Pong  []byte `cbor:"pong,omitempty"`  // the nonce of a ping
	State *state `cbor:"state,omitempty"` // replaces the one before
	Far   bool   `cbor:"far,omitempty"`   // your answers take too long: we are no members of one site
}

// state is all that a member tells of itself.
type state struct {
	_       struct{} `cbor:",toarray"`
	Outside bool     // has contact with the outside
	Gateway uint64   // since when it keeps that, in Unix seconds by its own clock; 0 if it does not
	Pins    [][]byte // the first pinBytes of the fingerprint of each publisher that it pins, ascending; all there are
	More    bool     // it pins more than those
	Errands []stance // ascending by release
}

// stance is what a member does about one release.
type stance struct {
	_       struct{} `cbor:",toarray"`
	Release manifest.CID
	Outside bool   // fetches it from outside
	Bytes   uint64 // that came from outside so far
	Stalls  uint64 // how often it had the turn and nothing came for a lease
}

// Validate implements [manifest.Validator].
func (m *message) Validate() error {
	kinds := 0
	for _, present := range []bool{len(m.Ping) > 0, len(m.Pong) > 0, m.State != nil, m.Far} {
		if present {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return fmt.Errorf("message of %d kinds, want 1", kinds)
	case len(m.Ping) != 0 && len(m.Ping) != nonceBytes, len(m.Pong) != 0 && len(m.Pong) != nonceBytes:
		return fmt.Errorf("nonce of %d bytes, want %d", len(m.Ping)+len(m.Pong), nonceBytes)
	case m.State != nil:
		return m.State.validate()
	}
	return nil
}

func (s *state) validate() error {
	if len(s.Pins) > MaxPins || len(s.Errands) > MaxErrands {
		return fmt.Errorf("state of %d pins and %d errands, at most %d and %d", len(s.Pins), len(s.Errands), MaxPins, MaxErrands)
	}
	for i, p := range s.Pins {
		if len(p) != pinBytes || (i > 0 && bytes.Compare(s.Pins[i-1], p) >= 0) {
			return fmt.Errorf("pin %d is out of order or not of %d bytes", i, pinBytes)
		}
	}
	for i, e := range s.Errands {
		if !e.Release.Defined() || (i > 0 && bytes.Compare(s.Errands[i-1].Release.Bytes(), e.Release.Bytes()) >= 0) {
			return fmt.Errorf("errand %d is out of order or of no release", i)
		}
	}
	return nil
}

// encode frames a message: a uvarint length and canonical dag-cbor.
func encode(m *message) ([]byte, error) {
	b, err := manifest.Encode(m)
	if err != nil {
		return nil, err
	}
	if len(b.Data) > MaxMessageBytes {
		return nil, fmt.Errorf("message of %d bytes, at most %d", len(b.Data), MaxMessageBytes)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b.Data))), b.Data...), nil
}

// decode reads a message. io.EOF says that there is none more; what breaks the
// bounds or the encoding yields an error that wraps [ErrProtocol].
func decode(r *bufio.Reader) (*message, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	length, err := readLength(r)
	if err != nil {
		return nil, err
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, cutShort(err)
	}
	m := new(message)
	if err := manifest.Decode(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return m, nil
}

// readLength reads a uvarint of one or two bytes, all that MaxMessageBytes needs.
func readLength(r *bufio.Reader) (int, error) {
	first, err := r.ReadByte()
	if err != nil || first < 0x80 {
		return int(first), cutShort(err)
	}
	second, err := r.ReadByte()
	if err != nil {
		return 0, cutShort(err)
	}
	length := int(first&0x7f) | int(second)<<7
	if second == 0 || length > MaxMessageBytes {
		return 0, fmt.Errorf("%w: message of more than %d bytes, or a length that is not the shortest", ErrProtocol, MaxMessageBytes)
	}
	return length, nil
}

// cutShort turns the end of a stream inside a message into an error.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
