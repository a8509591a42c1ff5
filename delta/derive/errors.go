package derive

import "errors"

var (
	// ErrFactors says that factors are malformed: whoever sent them is broken
	// or hostile, or they belong to another matrix.
	ErrFactors = errors.New("malformed low-rank factors")
	// ErrConversion says that a conversion is malformed: whoever sent it is
	// broken or hostile, or it belongs to another pair of matrices.
	ErrConversion = errors.New("malformed conversion")
	// ErrShape says that matrices do not fit each other: pair others.
	ErrShape = errors.New("matrices do not fit")
)
