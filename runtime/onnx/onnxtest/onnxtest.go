// Package onnxtest finds the ONNX Runtime library for tests and benchmarks.
// Nothing in production imports it.
package onnxtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// Find returns the absolute path of the library: $DUNLIN_ONNXRUNTIME, or what
// `make setup` put under build/ of the checkout around the working folder;
// empty where there is none.
func Find() string {
	if path := os.Getenv(ortlib.EnvPath); path != "" {
		return path
	}
	return built(ortlib.Pinned(runtime.GOOS, runtime.GOARCH))
}

// built returns where a library lies under build/ of the checkout around the
// working folder; empty if it does not.
func built(lib ortlib.Library, ok bool) string {
	wd, err := os.Getwd()
	if !ok || err != nil {
		return ""
	}
	for at := wd; ; at = filepath.Dir(at) {
		path := filepath.Join(at, "build", lib.RelPath())
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// Library is Find, and skips the test, saying so, where there is none.
func Library(tb testing.TB) string {
	tb.Helper()
	path := Find()
	if path == "" {
		tb.Skipf("SKIP: no ONNX Runtime library: run `make setup`, or set %s", ortlib.EnvPath)
	}
	return path
}
