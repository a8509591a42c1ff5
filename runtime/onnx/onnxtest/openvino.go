package onnxtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// OpenVINO returns the absolute path of the library with OpenVINO that
// `go run ./internal/setup -openvino` put under build/ of the checkout, and
// skips the test, saying so, where there is none.
func OpenVINO(tb testing.TB) string {
	tb.Helper()
	lib, ok := ortlib.OpenVINO(runtime.GOOS, runtime.GOARCH)
	if !ok {
		tb.Skipf("SKIP: no ONNX Runtime with OpenVINO for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	wd, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for at := wd; ; at = filepath.Dir(at) {
		path := filepath.Join(at, "build", lib.RelPath())
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if at == filepath.Dir(at) {
			tb.Skip("SKIP: no ONNX Runtime with OpenVINO: run `go run ./internal/setup -openvino`")
		}
	}
}
