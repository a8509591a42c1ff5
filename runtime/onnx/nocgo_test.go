//go:build !cgo || !(linux || darwin)

package onnx

import (
	"errors"
	"io"
	"strings"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

func TestWithoutCgoNewSaysWhy(t *testing.T) {
	_, err := New(Config{})
	if !errors.Is(err, modelrt.ErrNoRuntime) {
		t.Fatalf("got %v, want ErrNoRuntime", err)
	}
	for _, part := range []string{"CGO_ENABLED=0", "carries and serves chunks", "use a build with cgo"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestWithoutCgoTheProbeSaysWhy(t *testing.T) {
	var stderr strings.Builder
	if code := ProbeMain(t.Context(), []string{"/model.onnx"}, nil, io.Discard, &stderr); code != 3 || !strings.Contains(stderr.String(), "CGO_ENABLED=0") {
		t.Errorf("exit code %d and %q", code, stderr.String())
	}
}
