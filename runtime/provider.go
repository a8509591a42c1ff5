package runtime

import (
	"fmt"
	"slices"
	"strings"
)

// Provider names an execution provider: what computes the nodes of a model's
// graph. A library of ONNX Runtime has some of them built in; that one is there
// does not mean that it works on a machine, see the folder profile.
type Provider string

// The execution providers that Dunlin knows by name and option. The names are
// those of ONNX Runtime without "ExecutionProvider".
const (
	CPU      Provider = "CPU"      // every library, every machine
	OpenVINO Provider = "OpenVINO" // Intel's, on x86-64 CPUs, GPUs and NPUs
	XNNPACK  Provider = "XNNPACK"  // small float models on ARM
	CUDA     Provider = "CUDA"     // NVIDIA GPUs
	TensorRT Provider = "TensorRT" // NVIDIA GPUs, compiled for the one at hand
	CoreML   Provider = "CoreML"   // Apple
	QNN      Provider = "QNN"      // Qualcomm NPUs
	DirectML Provider = "DML"      // GPUs under Windows
	WebGPU   Provider = "WebGPU"   // GPUs by way of Vulkan, Metal or Direct3D
)

// Providers lists them, the plainest first.
func Providers() []Provider {
	return []Provider{CPU, OpenVINO, XNNPACK, CUDA, TensorRT, CoreML, QNN, DirectML, WebGPU}
}

// ParseProvider takes a name as people and manifests write it: in any letter
// case, with or without "ExecutionProvider" after it, "directml" and "dml"
// alike. The error lists the names.
func ParseProvider(text string) (Provider, error) {
	name := strings.TrimSuffix(strings.ToLower(text), "executionprovider")
	if name == "directml" {
		return DirectML, nil
	}
	at := slices.IndexFunc(Providers(), func(p Provider) bool { return strings.ToLower(string(p)) == name })
	if at < 0 {
		return "", fmt.Errorf("execution provider %.40q is none of %v", text, Providers())
	}
	return Providers()[at], nil
}

// Full returns the name that ONNX Runtime itself uses, as CPUExecutionProvider.
func (p Provider) Full() string { return string(p) + "ExecutionProvider" }
