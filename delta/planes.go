package delta

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
)

// integers are the classes whose byte planes hold the differences of elements
// of a width.
var integers = map[int]codec.Class{1: codec.Int8, 2: codec.I16, 4: codec.I32, 8: codec.I64}

// segments returns what package codec is told of n bytes of o's elements.
func (o *op) segments(n int) []codec.Segment {
	class := o.class
	if o.from >= 0 {
		class = integers[o.class.Width()]
	}
	return []codec.Segment{{Class: class, Bytes: n}}
}

func isFloat(c codec.Class) bool {
	return c == codec.F16 || c == codec.BF16 || c == codec.F32 || c == codec.F64
}

// addPlanes codes data, a step of numbers, as byte planes of the differences
// from the basis, or of the numbers themselves.
func (f *frameCoder) addPlanes(ctx context.Context, o *op, data []byte) (opKind, error) {
	o.kind = opPlanes
	basis, err := f.basisOf(o)
	if err != nil {
		return o.kind, err
	}
	var side []byte
	for at := 0; at < len(data); at += planeBytes {
		if err := ctx.Err(); err != nil {
			return o.kind, err
		}
		p := data[at:min(at+planeBytes, len(data))]
		if o.from >= 0 {
			f.basis, f.diff = grow(f.basis, len(p)), grow(f.diff, len(p))
			if _, err := basis.read(f.basis, o.basis.skip+int64(at)); err != nil {
				return o.kind, oldError(err)
			}
			subtract(f.diff, p, f.basis, o.class.Width(), isFloat(o.class))
			p = f.diff
		}
		frame, err := f.planes.Encode(f.spare, p, o.segments(len(p)), codec.Fast)
		if err != nil {
			return o.kind, err
		}
		side = appendBlock(side, frame)
	}
	o.side = int64(len(side))
	if err := f.plan.code(f.c, o); err != nil {
		return o.kind, err
	}
	f.side = append(f.side, side...)
	return o.kind, nil
}

// joinPlanes fills data with a step of numbers.
func (f *frameCoder) joinPlanes(ctx context.Context, o *op, data []byte) error {
	basis, err := f.basisOf(o)
	if err != nil {
		return err
	}
	in, err := f.take(o.side)
	if err != nil {
		return err
	}
	for at := 0; at < len(data); at += planeBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := data[at:min(at+planeBytes, len(data))]
		if in, err = f.decodeBlock(p, in, o.segments(len(p))); err != nil {
			return err
		}
		if o.from >= 0 {
			f.basis = grow(f.basis, len(p))
			if _, err := basis.read(f.basis, o.basis.skip+int64(at)); err != nil {
				return oldError(err)
			}
			add(p, f.basis, o.class.Width(), isFloat(o.class))
		}
	}
	return rest(in)
}

// addBlock codes data, a step of bytes, by package codec.
func (f *frameCoder) addBlock(ctx context.Context, o *op, data []byte) (opKind, error) {
	o.kind = opBlock
	var side []byte
	for at := 0; at < len(data); at += planeBytes {
		if err := ctx.Err(); err != nil {
			return o.kind, err
		}
		frame, err := f.planes.Encode(f.spare, data[at:min(at+planeBytes, len(data))], nil, codec.Strong)
		if err != nil {
			return o.kind, err
		}
		side = appendBlock(side, frame)
	}
	o.side = int64(len(side))
	if err := f.plan.code(f.c, o); err != nil {
		return o.kind, err
	}
	f.side = append(f.side, side...)
	return o.kind, nil
}

// joinBlock fills data with a step of bytes.
func (f *frameCoder) joinBlock(ctx context.Context, o *op, data []byte) error {
	in, err := f.take(o.side)
	if err != nil {
		return err
	}
	for at := 0; at < len(data); at += planeBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if in, err = f.decodeBlock(data[at:min(at+planeBytes, len(data))], in, nil); err != nil {
			return err
		}
	}
	return rest(in)
}

func rest(in []byte) error {
	if len(in) > 0 {
		return fmt.Errorf("%w: %d bytes after the last block", ErrDelta, len(in))
	}
	return nil
}

// appendBlock appends a frame of package codec: its encoding, the uvarint length
// of its payload, and that.
func appendBlock(to []byte, f codec.Frame) []byte {
	to = append(to, byte(f.Encoding))
	to = binary.AppendUvarint(to, uint64(len(f.Payload)))
	return append(to, f.Payload...)
}

// decodeBlock fills p with the first block of in and returns what follows it.
func (f *frameCoder) decodeBlock(p, in []byte, segs []codec.Segment) ([]byte, error) {
	if len(in) < 2 {
		return nil, fmt.Errorf("%w: it ends before a block", ErrDelta)
	}
	length, k := binary.Uvarint(in[1:])
	if k <= 0 || length > uint64(len(in)-1-k) {
		return nil, fmt.Errorf("%w: it ends within a block", ErrDelta)
	}
	if codec.Encoding(in[0]) > codec.Planes {
		return nil, fmt.Errorf("%w: block in encoding %d", ErrDelta, in[0])
	}
	frame := codec.Frame{Encoding: codec.Encoding(in[0]), RawBytes: len(p), Payload: in[1+k:][:length]}
	out, err := f.planes.Decode(p, frame, len(p), segs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDelta, err)
	}
	copy(p, out) // a raw block is not in p's memory
	return in[1+k+int(length):], nil
}

// subtract sets diff to what a is more than b, element by element: numbers in
// the order of the elements (floats by their bits, those of negative ones
// inverted but for the sign), modulo their width, the sign moved to the lowest
// bit.
func subtract(diff, a, b []byte, width int, float bool) {
	le := binary.LittleEndian
	a, b = a[:len(diff)], b[:len(diff)]
	switch width {
	case 1:
		for i := range diff {
			d := int8(a[i] - b[i])
			diff[i] = byte(d<<1 ^ d>>7)
		}
	case 2:
		flip := flip[int16](float, 15)
		for i := 0; i <= len(diff)-2; i += 2 {
			x, y := int16(le.Uint16(a[i:])), int16(le.Uint16(b[i:]))
			d := (x ^ x>>15&flip) - (y ^ y>>15&flip)
			le.PutUint16(diff[i:], uint16(d<<1^d>>15))
		}
	case 4:
		flip := flip[int32](float, 31)
		for i := 0; i <= len(diff)-4; i += 4 {
			x, y := int32(le.Uint32(a[i:])), int32(le.Uint32(b[i:]))
			d := (x ^ x>>31&flip) - (y ^ y>>31&flip)
			le.PutUint32(diff[i:], uint32(d<<1^d>>31))
		}
	case 8:
		flip := flip[int64](float, 63)
		for i := 0; i <= len(diff)-8; i += 8 {
			x, y := int64(le.Uint64(a[i:])), int64(le.Uint64(b[i:]))
			d := (x ^ x>>63&flip) - (y ^ y>>63&flip)
			le.PutUint64(diff[i:], uint64(d<<1^d>>63))
		}
	}
}

// add is the inverse of subtract: diff becomes a.
func add(diff, b []byte, width int, float bool) {
	le := binary.LittleEndian
	b = b[:len(diff)]
	switch width {
	case 1:
		for i := range diff {
			diff[i] = (diff[i]>>1 ^ -(diff[i] & 1)) + b[i]
		}
	case 2:
		flip := flip[int16](float, 15)
		for i := 0; i <= len(diff)-2; i += 2 {
			u, y := le.Uint16(diff[i:]), int16(le.Uint16(b[i:]))
			x := int16(u>>1^-(u&1)) + (y ^ y>>15&flip)
			le.PutUint16(diff[i:], uint16(x^x>>15&flip))
		}
	case 4:
		flip := flip[int32](float, 31)
		for i := 0; i <= len(diff)-4; i += 4 {
			u, y := le.Uint32(diff[i:]), int32(le.Uint32(b[i:]))
			x := int32(u>>1^-(u&1)) + (y ^ y>>31&flip)
			le.PutUint32(diff[i:], uint32(x^x>>31&flip))
		}
	case 8:
		flip := flip[int64](float, 63)
		for i := 0; i <= len(diff)-8; i += 8 {
			u, y := le.Uint64(diff[i:]), int64(le.Uint64(b[i:]))
			x := int64(u>>1^-(u&1)) + (y ^ y>>63&flip)
			le.PutUint64(diff[i:], uint64(x^x>>63&flip))
		}
	}
}

// flip returns the bits that a negative float has inverted; none of integers.
func flip[T int16 | int32 | int64](float bool, bits int) T {
	if !float {
		return 0
	}
	return T(1)<<bits - 1
}
