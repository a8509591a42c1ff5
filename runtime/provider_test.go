package runtime

import (
	"strings"
	"testing"
)

func TestParseProviderTakesWhatPeopleWrite(t *testing.T) {
	for text, want := range map[string]Provider{
		"cpu": CPU, "OpenVINO": OpenVINO, "openvino": OpenVINO, "CUDAExecutionProvider": CUDA, "tensorrt": TensorRT,
		"DirectML": DirectML, "dml": DirectML, "DmlExecutionProvider": DirectML, "xnnpack": XNNPACK, "coreml": CoreML, "qnn": QNN, "webgpu": WebGPU,
	} {
		if got, err := ParseProvider(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "gpu", "ExecutionProvider", strings.Repeat("x", 1000)} {
		if _, err := ParseProvider(text); err == nil || !strings.Contains(err.Error(), "CPU") || len(err.Error()) > 200 {
			t.Errorf("%.20q: got %v", text, err)
		}
	}
	for _, p := range Providers() {
		if got, err := ParseProvider(p.Full()); err != nil || got != p {
			t.Errorf("%s: got %s, %v", p.Full(), got, err)
		}
	}
}
