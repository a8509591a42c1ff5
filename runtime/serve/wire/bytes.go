package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

const lengthBytes = 4 // before each element of a tensor of BYTES

// AppendElement appends one element of a tensor of BYTES to out: its length, 4
// bytes little endian, and itself. It must be shorter than 4 GiB.
func AppendElement(out, element []byte) []byte {
	out = binary.LittleEndian.AppendUint32(out, uint32(len(element)))
	return append(out, element...)
}

// EncodeBytes returns the raw form of a tensor of BYTES with these elements.
// The error wraps [ErrMalformed] where one has 4 GiB or more.
func EncodeBytes(elements [][]byte) ([]byte, error) {
	size := 0
	for i, e := range elements {
		if uint64(len(e)) > math.MaxUint32 {
			return nil, fmt.Errorf("%w: element %d of BYTES has %d bytes, at most %d", ErrMalformed, i, len(e), uint32(math.MaxUint32))
		}
		size += lengthBytes + len(e)
	}
	out := make([]byte, 0, size)
	for _, e := range elements {
		out = AppendElement(out, e)
	}
	return out, nil
}

// DecodeBytes returns the elements in the raw form of a tensor of BYTES, which
// must be exactly count. They share data's memory. The error wraps
// [ErrMalformed].
func DecodeBytes(data []byte, count int64) ([][]byte, error) {
	if count < 0 || count > MaxElements {
		return nil, fmt.Errorf("%w: %d elements of BYTES, at most %d", ErrMalformed, count, MaxElements)
	}
	if count > int64(len(data)/lengthBytes) {
		return nil, fmt.Errorf("%w: %d elements of BYTES cannot be in %d bytes", ErrMalformed, count, len(data))
	}
	out := make([][]byte, 0, count)
	for i := range count {
		if len(data) < lengthBytes {
			return nil, fmt.Errorf("%w: BYTES end before the length of element %d", ErrMalformed, i)
		}
		n := uint64(binary.LittleEndian.Uint32(data))
		data = data[lengthBytes:]
		if n > uint64(len(data)) {
			return nil, fmt.Errorf("%w: element %d of BYTES has %d bytes, %d are left", ErrMalformed, i, n, len(data))
		}
		out = append(out, data[:n:n])
		data = data[n:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow the %d elements of BYTES that the shape asks for", ErrMalformed, len(data), count)
	}
	return out, nil
}
