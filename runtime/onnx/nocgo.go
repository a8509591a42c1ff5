//go:build !cgo || !(linux || darwin)

package onnx

import (
	"errors"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// New returns an error that wraps runtime.ErrNoRuntime: this build has no cgo,
// or the operating system is one that the binding does not know.
func New(cfg Config) (modelrt.Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return nil, modelrt.NoRuntime(errors.New("this build has no ONNX Runtime binding (built with CGO_ENABLED=0, or not for linux or darwin): use a build with cgo"))
}
