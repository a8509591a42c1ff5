package image

import "errors"

var (
	// ErrSpec: the model's metadata does not say how a picture becomes its
	// input, or says it wrongly. The caller must send numbers; the publisher can
	// put it right.
	ErrSpec = errors.New("the model does not say how it takes pictures")

	// ErrPicture: the bytes are no JPEG, PNG or WebP, broken, or over a limit.
	// The caller must send another picture.
	ErrPicture = errors.New("picture cannot be taken")
)
