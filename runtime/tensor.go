package runtime

import (
	"fmt"
	"math"
	"slices"
)

// MaxRank is the largest number of dimensions a tensor may have; NumPy's bound
// until version 2 was the same.
const MaxRank = 32

// MaxTensorBytes bounds what is allocated for one tensor whose size something
// outside this program decides: 2 GiB.
const MaxTensorBytes = 2 << 30

// Tensor is an n-dimensional array: len(Data) is the product of Shape times
// the size of DType. An empty Shape is a scalar. A value shares Data and Shape
// with its copies; nothing in this package changes them.
type Tensor struct {
	DType DType
	// Shape has one size per dimension, each at least 0.
	Shape []int64
	// Data holds the elements little endian, row major, without gaps.
	Data []byte
}

// NewTensor returns a tensor of zeros. It fails as [Tensor.Validate] does, and
// where more than maxBytes would be needed.
func NewTensor(dtype DType, shape []int64, maxBytes int64) (Tensor, error) {
	size, err := ByteSize(dtype, shape)
	if err != nil {
		return Tensor{}, err
	}
	if size > maxBytes {
		return Tensor{}, fmt.Errorf("%w: %s%v takes %d bytes, the limit is %d", ErrTensor, dtype, shape, size, maxBytes)
	}
	return Tensor{DType: dtype, Shape: slices.Clone(shape), Data: make([]byte, size)}, nil
}

// ByteSize returns how many bytes a tensor of this type and shape has. It
// fails with ErrTensor for an unknown type, more than MaxRank dimensions, a
// negative size, or a product that overflows, whatever the order of the
// dimensions (a zero does not hide an overflow).
func ByteSize(dtype DType, shape []int64) (int64, error) {
	if err := dtype.check(); err != nil {
		return 0, err
	}
	if len(shape) > MaxRank {
		return 0, fmt.Errorf("%w: %d dimensions, at most %d", ErrTensor, len(shape), MaxRank)
	}
	size, empty := int64(dtype.Size()), false
	for _, n := range shape {
		switch {
		case n < 0:
			return 0, fmt.Errorf("%w: negative dimension in shape %v", ErrTensor, shape)
		case n == 0:
			empty = true
		case size > math.MaxInt64/n:
			return 0, fmt.Errorf("%w: shape %v overflows", ErrTensor, shape)
		default:
			size *= n
		}
	}
	if empty {
		return 0, nil
	}
	return size, nil
}

// Validate returns an error that wraps ErrTensor unless type, shape and data
// agree and every bool is 0 or 1. It allocates nothing on success.
func (t Tensor) Validate() error {
	size, err := ByteSize(t.DType, t.Shape)
	if err != nil {
		return err
	}
	if size != int64(len(t.Data)) {
		return fmt.Errorf("%w: %s%v takes %d bytes, there are %d", ErrTensor, t.DType, t.Shape, size, len(t.Data))
	}
	if t.DType == BOOL {
		if at := slices.IndexFunc(t.Data, func(b byte) bool { return b > 1 }); at >= 0 {
			return fmt.Errorf("%w: bool at index %d is %d, must be 0 or 1", ErrTensor, at, t.Data[at])
		}
	}
	return nil
}
