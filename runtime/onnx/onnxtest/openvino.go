package onnxtest

import (
	"runtime"
	"testing"

	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// FindOpenVINO returns the absolute path of the library with OpenVINO that
// `go run ./internal/setup -openvino` put under build/ of the checkout around
// the working folder; empty where there is none.
func FindOpenVINO() string {
	return built(ortlib.OpenVINO(runtime.GOOS, runtime.GOARCH))
}

// OpenVINO is FindOpenVINO, and skips the test, saying so, where there is none.
func OpenVINO(tb testing.TB) string {
	tb.Helper()
	path := FindOpenVINO()
	if path == "" {
		tb.Skip("SKIP: no ONNX Runtime with OpenVINO: run `go run ./internal/setup -openvino` (linux/amd64)")
	}
	return path
}
