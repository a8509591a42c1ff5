package runtime

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// The .npy format: numpy.lib.format, NEP 1 of the NumPy project.

const npyMagic = "\x93NUMPY"

// maxNPYHeader bounds a header's text; NumPy itself reads no more than 10,000
// characters unless told to.
const maxNPYHeader = 10_000

// npyTypes pairs our types with NumPy's; '|' stands for "no byte order".
func npyTypes() map[DType]string {
	return map[DType]string{
		F32: "<f4", F64: "<f8", F16: "<f2", BOOL: "|b1", I8: "|i1", U8: "|u1",
		I16: "<i2", U16: "<u2", I32: "<i4", U32: "<u4", I64: "<i8", U64: "<u8",
	}
}

// WriteNPY writes t as a .npy file of version 1.0. NumPy has no bfloat16, so
// such a tensor is refused. Errors wrap ErrTensor, or are those of w.
func WriteNPY(w io.Writer, t Tensor) error {
	if err := t.Validate(); err != nil {
		return err
	}
	descr, ok := npyTypes()[t.DType]
	if !ok {
		return fmt.Errorf("%w: .npy has no type for %s, use the JSON form", ErrTensor, t.DType)
	}
	var shape strings.Builder
	for i, n := range t.Shape {
		if i > 0 {
			shape.WriteByte(' ')
		}
		fmt.Fprintf(&shape, "%d,", n)
	}
	dims := shape.String()
	if len(t.Shape) > 1 {
		dims = strings.TrimSuffix(dims, ",")
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims)
	// Data begin at a multiple of 64; the header ends in a newline.
	const prefix = len(npyMagic) + 4
	header += strings.Repeat(" ", 63-(prefix+len(header))%64) + "\n"
	out := append([]byte(npyMagic), 1, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(header)))
	out = append(out, header...)
	if _, err := w.Write(out); err != nil {
		return err
	}
	_, err := w.Write(t.Data)
	return err
}

// ReadNPY reads one .npy file of version 1.0, 2.0 or 3.0 with at most maxBytes
// of data, to the end of r. Little endian, C order and plain numbers or bools
// only. Errors wrap ErrTensor, or are those of r.
func ReadNPY(r io.Reader, maxBytes int64) (Tensor, error) {
	var head [len(npyMagic) + 2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:len(npyMagic)]) != npyMagic {
		return Tensor{}, fmt.Errorf("%w: no .npy file", ErrTensor)
	}
	major, minor := head[len(npyMagic)], head[len(npyMagic)+1]
	if major < 1 || major > 3 || minor != 0 {
		return Tensor{}, fmt.Errorf("%w: .npy version %d.%d, known are 1.0, 2.0 and 3.0", ErrTensor, major, minor)
	}
	lengthBytes := 4
	if major == 1 {
		lengthBytes = 2
	}
	var length [4]byte
	if _, err := io.ReadFull(r, length[:lengthBytes]); err != nil {
		return Tensor{}, fmt.Errorf("%w: .npy header: %w", ErrTensor, err)
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxNPYHeader {
		return Tensor{}, fmt.Errorf("%w: .npy header of %d bytes, at most %d", ErrTensor, n, maxNPYHeader)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return Tensor{}, fmt.Errorf("%w: .npy header: %w", ErrTensor, err)
	}
	dtype, shape, err := parseNPYHeader(string(header))
	if err != nil {
		return Tensor{}, fmt.Errorf("%w: .npy header: %w", ErrTensor, err)
	}
	size, err := ByteSize(dtype, shape)
	if err != nil {
		return Tensor{}, err
	}
	if size > maxBytes {
		return Tensor{}, fmt.Errorf("%w: .npy of %d bytes, the limit is %d", ErrTensor, size, maxBytes)
	}
	t := Tensor{DType: dtype, Shape: shape}
	// Grown as it is read: a header that lies costs nothing.
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(r, size+1)); err != nil {
		return Tensor{}, fmt.Errorf("read .npy: %w", err)
	}
	t.Data = data.Bytes()
	if data.Len() == 0 {
		t.Data = []byte{}
	}
	if err := t.Validate(); err != nil {
		return Tensor{}, err
	}
	return t, nil
}
