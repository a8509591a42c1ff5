package chunker

import (
	"encoding/binary"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a protobuf message as it lies in the file
// (https://protobuf.dev/programming-guides/encoding/).
type field struct {
	number protowire.Number
	kind   protowire.Type
	at     int64  // where its tag stands
	value  uint64 // of a varint or fixed field
	span   span   // the payload: of a bytes field without its length
}

// fields reads the fields of the message m one after the other without its
// payloads, so a message of any size takes no memory. A message in a field is
// read by calling fields on its span. It ends after the first error.
func (s *source) fields(format string, m span) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		for at := m.start; at < m.end; {
			f, err := s.field(format, span{at, m.end})
			if !yield(f, err) || err != nil {
				return
			}
			at = f.span.end
		}
	}
}

// field reads the field at the start of m, which is the rest of its message.
func (s *source) field(format string, m span) (field, error) {
	f := field{at: m.start}
	tag, at, err := s.uvarint(format, m)
	if err != nil {
		return f, err
	}
	f.number, f.kind = protowire.DecodeTag(tag)
	if !f.number.IsValid() || tag>>3 > uint64(protowire.MaxValidNumber) {
		return f, s.malformed(format, f.at, "field number %d", tag>>3)
	}
	length := uint64(0)
	switch f.kind {
	case protowire.VarintType:
		f.span.start = at
		f.value, f.span.end, err = s.uvarint(format, span{at, m.end})
		return f, err
	case protowire.Fixed32Type:
		length = 4
	case protowire.Fixed64Type:
		length = 8
	case protowire.BytesType:
		if length, at, err = s.uvarint(format, span{at, m.end}); err != nil {
			return f, err
		}
	default:
		return f, s.malformed(format, f.at, "field %d of wire type %d", f.number, f.kind)
	}
	if left := uint64(m.end - at); length > left {
		return f, s.malformed(format, f.at, "field %d of %d bytes, %d left", f.number, length, left)
	}
	f.span = span{at, at + int64(length)}
	if f.kind == protowire.BytesType {
		return f, nil
	}
	data, err := s.peek(at, int(length))
	if err != nil {
		return f, err
	}
	if length == 4 {
		f.value = uint64(binary.LittleEndian.Uint32(data))
	} else {
		f.value = binary.LittleEndian.Uint64(data)
	}
	return f, nil
}

// uvarint reads a varint at the start of m and returns where it ends.
func (s *source) uvarint(format string, m span) (uint64, int64, error) {
	data, err := s.peek(m.start, int(min(10, m.end-m.start)))
	if err != nil {
		return 0, m.start, err
	}
	v, n := protowire.ConsumeVarint(data)
	if n < 0 {
		return 0, m.start, s.malformed(format, m.start, "no varint: %v", protowire.ParseError(n))
	}
	return v, m.start + int64(n), nil
}
