package runtime

import (
	"errors"
	"fmt"
)

// NoRuntime wraps why in ErrNoRuntime and adds what to do about it. An error
// that wraps ErrNoRuntime already is returned as it is.
func NoRuntime(why error) error {
	if errors.Is(why, ErrNoRuntime) {
		return why
	}
	return fmt.Errorf("%w: %w; run `make setup`, or set DUNLIN_ONNXRUNTIME=/path/to/libonnxruntime.so", ErrNoRuntime, why)
}
