package onnx

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

func TestProbeMainRefusesWrongUsage(t *testing.T) {
	var stderr strings.Builder
	if code := ProbeMain(t.Context(), []string{"a", "b", "c"}, nil, io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), "usage") {
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

// TestProbeOfAProviderIsToldApart: a provider that is not there says nothing
// about the model.
func TestProbeOfAProviderIsToldApart(t *testing.T) {
	var stderr strings.Builder
	if code := ProbeMain(t.Context(), []string{"-provider", "warp", "m.onnx"}, nil, io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), "warp") {
		t.Errorf("exit code %d and %q, want 2 and the name", code, stderr.String())
	}
	t.Setenv(ortlib.EnvPath, onnxtest.Library(t))
	prober, err := modelrt.NewProber(modelrt.ProberConfig{Provider: modelrt.DirectML})
	if err != nil {
		t.Fatal(err)
	}
	_, err = prober.Probe(t.Context(), modelrt.Trial{Path: corpus.File(t, "silero-onnx/v6.2/silero_vad.onnx")})
	if !errors.Is(err, modelrt.ErrProvider) || errors.Is(err, modelrt.ErrLoad) || !strings.Contains(err.Error(), "Windows") {
		t.Errorf("got %v, want ErrProvider and the reason", err)
	}
}
