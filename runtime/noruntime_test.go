package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestNoRuntimeSaysWhatToDo keeps the promise of ErrNoRuntime's text.
func TestNoRuntimeSaysWhatToDo(t *testing.T) {
	e := NoEngine(errors.New("this build has no cgo"))
	_, err := e.Load(context.Background(), "/models/vad.onnx")
	if !errors.Is(err, ErrNoRuntime) {
		t.Fatalf("got %v, want ErrNoRuntime", err)
	}
	for _, part := range []string{"cannot run models", "carries and serves chunks", "this build has no cgo", "make setup", "DUNLIN_ONNXRUNTIME=/path/to/libonnxruntime.so", "/models/vad.onnx"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if again := NoRuntime(err); again.Error() != err.Error() {
		t.Errorf("advice is given twice: %v", again)
	}
	if info := e.Info(); info.Name != "none" || info.Reason == "" {
		t.Errorf("got %+v", info)
	}
}
