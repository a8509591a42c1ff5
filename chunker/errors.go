package chunker

import (
	"errors"
	"fmt"
)

// ErrMalformed says that a file is of a format that this package knows and
// breaks its rules: no retry helps, the file itself has to be made anew. The
// error around it is a [*FormatError].
var ErrMalformed = errors.New("malformed model file")

// FormatError says what is wrong with a model file, and where. It wraps
// [ErrMalformed].
type FormatError struct {
	Format string // what the file was taken for, such as "onnx"
	File   string // the name that the caller gave
	Offset int64  // the byte at which the lie stands
	Reason string // what it says, and what it should
}

// Error returns a line such as
//
//	vad.onnx: malformed onnx at byte 1234: tensor "x" says 10 elements of f32 but has 12 bytes
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: malformed %s at byte %d: %s", e.File, e.Format, e.Offset, e.Reason)
}

// Unwrap returns [ErrMalformed].
func (e *FormatError) Unwrap() error { return ErrMalformed }
