package client

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Tensor is an n-dimensional array as it travels.
type Tensor struct {
	Name string
	// Datatype is the protocol's name of the elements' type, such as FP32, INT64
	// or BYTES.
	Datatype string
	// Shape has one size per dimension; empty for a scalar.
	Shape []int64
	// Data holds the elements little endian, row major; of BYTES, each after its
	// length in 4 bytes.
	Data []byte
}

// Number is a type that tensors can have.
type Number interface {
	float32 | float64 | int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64 | bool
}

// datatype returns the protocol's name of a Number.
func datatype[T Number]() string {
	var zero T
	switch any(zero).(type) {
	case float32:
		return "FP32"
	case float64:
		return "FP64"
	case int8:
		return "INT8"
	case uint8:
		return "UINT8"
	case int16:
		return "INT16"
	case uint16:
		return "UINT16"
	case int32:
		return "INT32"
	case uint32:
		return "UINT32"
	case int64:
		return "INT64"
	case uint64:
		return "UINT64"
	}
	return "BOOL"
}

// Set makes t the tensor of values, whose number is the product of shape. It
// writes into the memory that t has; a zero Tensor gets new memory. Errors wrap
// ErrTensor.
func Set[T Number](t *Tensor, name string, shape []int64, values []T) error {
	if err := counts(shape, len(values)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	data := t.Data[:0]
	switch v := any(values).(type) {
	case []float32: // the usual one, without reflection
		data = slices.Grow(data, 4*len(v))
		for _, x := range v {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
	case []uint8:
		data = append(data, v...)
	default:
		var err error
		if data, err = binary.Append(data, binary.LittleEndian, values); err != nil {
			return fmt.Errorf("%s: %w: %w", name, ErrTensor, err)
		}
	}
	t.Name, t.Datatype, t.Shape, t.Data = name, datatype[T](), append(t.Shape[:0], shape...), data
	return nil
}

// SetBytes makes t the tensor of elements that are bytes, such as the files of
// pictures, in one dimension. It writes into the memory that t has. Errors wrap
// ErrTensor: an element is over 4 GiB.
func SetBytes(t *Tensor, name string, elements ...[]byte) error {
	data := t.Data[:0]
	for i, e := range elements {
		if uint64(len(e)) > math.MaxUint32 {
			return fmt.Errorf("%s: %w: element %d has %d bytes", name, ErrTensor, i, len(e))
		}
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(e))), e...)
	}
	t.Name, t.Datatype, t.Shape, t.Data = name, "BYTES", append(t.Shape[:0], int64(len(elements))), data
	return nil
}

// Get appends t's elements to dst, and returns it. Errors wrap ErrTensor: t is
// of another type, or its shape and data do not agree.
func Get[T Number](dst []T, t Tensor) ([]T, error) {
	if want := datatype[T](); t.Datatype != want {
		return dst, fmt.Errorf("%s: %w: it is %q, not %s", t.Name, ErrTensor, t.Datatype, want)
	}
	var zero T
	size := binary.Size(zero)
	n := len(t.Data) / size
	if n*size != len(t.Data) {
		return dst, fmt.Errorf("%s: %w: %d bytes of %s", t.Name, ErrTensor, len(t.Data), t.Datatype)
	}
	if err := counts(t.Shape, n); err != nil {
		return dst, fmt.Errorf("%s: %w", t.Name, err)
	}
	dst = slices.Grow(dst, n)
	values := dst[len(dst) : len(dst)+n]
	switch v := any(values).(type) {
	case []float32:
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	case []uint8:
		copy(v, t.Data)
	default:
		if _, err := binary.Decode(t.Data, binary.LittleEndian, values); err != nil {
			return dst, fmt.Errorf("%s: %w: %w", t.Name, ErrTensor, err)
		}
	}
	return dst[:len(dst)+n], nil
}

// counts returns an error unless the product of shape is n.
func counts(shape []int64, n int) error {
	product := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && product > math.MaxInt64/d {
			return fmt.Errorf("%w: shape %v", ErrTensor, shape)
		}
		product *= d
	}
	if product != int64(n) {
		return fmt.Errorf("%w: shape %v has %d elements, there are %d", ErrTensor, shape, product, n)
	}
	return nil
}
