package codec

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// How a class of a mixed frame is coded. Values are part of the format.
const (
	asPlanes = iota
	asNumbers
)

// mixedLeast is the least length that is worth a model.
const mixedLeast = 256

// encodeMixed returns chunk as the payload of a mixed frame; it is valid until
// the next call.
func (s *scratch) encodeMixed(chunk []byte, segs []Segment) []byte {
	s.mixed, s.segs = s.mixed[:0], s.segs[:0]
	rest := chunk
	for _, seg := range segs {
		if !retyped(seg) {
			s.segs = append(s.segs, seg)
		} else {
			from := len(s.mixed)
			s.mixed = appendKinds(s.mixed, rest[:seg.Bytes])
			s.segs, _ = retype(s.segs, seg.Bytes, s.mixed[from:])
		}
		rest = rest[seg.Bytes:]
	}
	sizes, _ := measure(s.segs, len(chunk))
	p := planes{sizes}
	s.planes = grow(s.planes, len(chunk))
	p.split(s.planes, chunk, s.segs)
	for c, all := range p.classes(s.planes) {
		start := len(s.mixed)
		s.mixed = s.appendStreams(append(s.mixed, asPlanes), streamsOf(c, all), zstdBetter)
		if len(s.mixed)-start > mixedLeast {
			if coded := s.encodeNumbers(c, all); coded != nil && len(coded) < len(s.mixed)-start {
				s.mixed = append(s.mixed[:start], coded...)
			}
		}
	}
	return s.mixed
}

// encodeNumbers returns a class, whose planes are all, by the model of its
// numbers, from the byte that says so on; it is valid until the next call. It
// is nil for a class without a model.
func (s *scratch) encodeNumbers(c Class, all []byte) []byte {
	if !s.gather(c, all) {
		return nil
	}
	enc := mix.NewEncoder(s.bits)
	s.model(c, enc, all)
	s.bits = enc.Finish()
	s.coded = append(s.coded[:0], asNumbers)
	s.coded = binary.AppendUvarint(s.coded, uint64(len(s.bits)))
	s.coded = append(s.coded, s.bits...)
	if c == F32 {
		s.coded = s.appendStreams(s.coded, s.below(), zstdBetter)
	}
	return s.coded
}

// decodeMixed fills dst with the chunk of a mixed payload.
func (s *scratch) decodeMixed(dst, payload []byte, segs []Segment) (err error) {
	s.segs = s.segs[:0]
	for _, seg := range segs {
		if !retyped(seg) {
			s.segs = append(s.segs, seg)
			continue
		}
		n := pieces(seg.Bytes)
		if len(payload) < n {
			return fmt.Errorf("%w: ends before its kinds", ErrFrame)
		}
		var ok bool
		if s.segs, ok = retype(s.segs, seg.Bytes, payload[:n]); !ok {
			return fmt.Errorf("%w: numbers of no known kind", ErrFrame)
		}
		payload = payload[n:]
	}
	sizes, _ := measure(s.segs, len(dst))
	p := planes{sizes}
	s.planes = grow(s.planes, len(dst))
	for c, all := range p.classes(s.planes) {
		if len(payload) == 0 {
			return fmt.Errorf("%w: ends before class %d", ErrFrame, c)
		}
		how := payload[0]
		payload = payload[1:]
		switch {
		case how == asPlanes:
			payload, err = s.decodeStreams(streamsOf(c, all), payload)
		case how == asNumbers && modelled(c):
			payload, err = s.decodeNumbers(c, all, payload)
		default:
			err = fmt.Errorf("%w: class %d coded in way %d", ErrFrame, c, how)
		}
		if err != nil {
			return err
		}
	}
	if len(payload) > 0 {
		return fmt.Errorf("%w: %d bytes after the last class", ErrFrame, len(payload))
	}
	p.join(dst, s.planes, s.segs)
	return nil
}

// decodeNumbers fills the planes of a class from the start of payload and
// returns what follows.
func (s *scratch) decodeNumbers(c Class, all, payload []byte) (rest []byte, err error) {
	length, n := binary.Uvarint(payload)
	if n <= 0 || n > 1 && payload[n-1] == 0 || length > uint64(len(payload)-n) {
		return nil, fmt.Errorf("%w: bad length of mixed bits", ErrFrame)
	}
	coded, rest := payload[n:][:length], payload[n+int(length):]
	s.makeRoom(c, len(all))
	dec := mix.NewDecoder(coded)
	s.model(c, dec, all)
	if dec.Err() != nil || dec.Bytes() != len(coded) {
		return nil, fmt.Errorf("%w: mixed bits are too few or too many", ErrFrame)
	}
	if c == F32 {
		if rest, err = s.decodeStreams(s.below(), rest); err != nil {
			return nil, err
		}
		s.fillBelow()
	}
	s.scatter(c, all)
	return rest, nil
}
