package onnx

import (
	"strings"
	"testing"
)

func TestProbeMainRefusesWrongUsage(t *testing.T) {
	var stderr strings.Builder
	if code := ProbeMain(t.Context(), []string{"a", "b"}, &stderr); code != 2 || !strings.Contains(stderr.String(), "usage") {
		t.Errorf("exit code %d and %q, want 2 and the usage", code, stderr.String())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"relative library":  {LibraryPath: "libonnxruntime.so"},
		"negative threads":  {IntraOpThreads: -1},
		"countless threads": {InterOpThreads: 1 << 20},
	} {
		if _, err := New(cfg); err == nil || !strings.HasPrefix(err.Error(), "onnx config: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
