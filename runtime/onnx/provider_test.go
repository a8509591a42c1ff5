//go:build cgo && (linux || darwin)

package onnx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
)

// openVINOArgument makes this test binary run a model with OpenVINO: a process
// opens one library, and the other tests of this one open the usual one.
const openVINOArgument = "openvino-child"

const (
	magika = "magika-onnx/6-v3_2/model.onnx"
	ppocr  = "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx"
)

// childRun is what the child is told, in JSON.
type childRun struct {
	Library, Model, Cache string
	Inputs                map[string]modelrt.Tensor
}

func openVINOChild(request string) int {
	fail := func(err error) int {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	var run childRun
	data, err := os.ReadFile(request)
	if err == nil {
		err = json.Unmarshal(data, &run)
	}
	if err != nil {
		return fail(err)
	}
	e, err := New(Config{LibraryPath: run.Library, Provider: modelrt.OpenVINO, IntraOpThreads: 1, CacheDir: run.Cache})
	if err != nil {
		return fail(err)
	}
	ctx := context.Background()
	s, err := e.Load(ctx, run.Model)
	if err != nil {
		return fail(err)
	}
	out, err := s.Run(ctx, run.Inputs)
	if err != nil {
		return fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return fail(err)
	}
	return 0
}

// TestOpenVINOComputesWhatTheCPUDoes really runs models with OpenVINO, from its
// own library in a child process, and compares with the CPU's outputs.
func TestOpenVINOComputesWhatTheCPUDoes(t *testing.T) {
	library := onnxtest.OpenVINO(t)
	corpus.Dir(t)
	cache := filepath.Join(t.TempDir(), "cache")
	for _, c := range []struct {
		name      string
		inputs    func(s modelrt.Session) map[string]modelrt.Tensor
		tolerance float64 // of each element; both compute in f32, in another order
	}{
		{ppocr, func(s modelrt.Session) map[string]modelrt.Tensor {
			return map[string]modelrt.Tensor{
				s.Signature().Inputs[0].Name: f32([]int64{1, 3, 48, 320}, func(i int) float32 { return float32(i%7) / 7 }),
			}
		}, 1e-3},
		{magika, func(s modelrt.Session) map[string]modelrt.Tensor { return zeroInputs(t, s) }, 1e-3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, c.name)
			inputs := c.inputs(s)
			want, err := s.Run(t.Context(), inputs)
			if err != nil {
				t.Fatal(err)
			}
			got := runChild(t, childRun{Library: library, Model: corpus.File(t, c.name), Cache: cache, Inputs: inputs})
			for name, w := range want {
				a, b := values(t, got[name]), values(t, w)
				if len(a) != len(b) {
					t.Fatalf("%s has %d elements, want %d", name, len(a), len(b))
				}
				worst := 0.0
				for i := range a {
					worst = max(worst, math.Abs(float64(a[i]-b[i])))
				}
				t.Logf("%s: %d elements differ by at most %.2g", name, len(a), worst)
				if !(worst <= c.tolerance) {
					t.Errorf("%s differs by %v, at most %v", name, worst, c.tolerance)
				}
			}
		})
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) == 0 {
		t.Errorf("nothing that was compiled is kept: %v, %v", entries, err)
	}
}

// TestOpenVINOThatCannotCompileAModelSaysWhy: silero chooses by an If between
// parts whose outputs have an unknown rank, which OpenVINO's plugin for CPUs
// refuses. Nothing falls back to the CPU by itself.
func TestOpenVINOThatCannotCompileAModelSaysWhy(t *testing.T) {
	library := onnxtest.OpenVINO(t)
	request := childRun{Library: library, Model: corpus.File(t, silero62), Inputs: speech(1)}
	_, err := startChild(t, request)
	if err == nil || !strings.Contains(err.Error(), "dynamic rank") || !strings.Contains(err.Error(), "OpenVINO") {
		t.Errorf("got %v, want OpenVINO's reason", err)
	}
}

// TestProvidersSayWhyTheyCannotBeUsed: each provider that the usual library
// lacks is refused with its name and a reason, and never replaced by the CPU.
func TestProvidersSayWhyTheyCannotBeUsed(t *testing.T) {
	library := onnxtest.Library(t)
	path := corpus.File(t, silero62)
	for _, p := range modelrt.Providers() {
		if p == modelrt.CPU || (p == modelrt.CoreML && runtime.GOOS == "darwin") {
			continue
		}
		e, err := New(Config{LibraryPath: library, Provider: p, CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Load(t.Context(), path)
		t.Logf("%s: %v", p, err)
		if !errors.Is(err, modelrt.ErrProvider) || errors.Is(err, modelrt.ErrLoad) || !strings.Contains(err.Error(), p.Full()) {
			t.Errorf("%s: got %v, want ErrProvider with its name", p, err)
		}
	}
}

// zeroInputs are inputs of zeros, one wherever a size is only known when
// running; of text files, magika would take the first and last bytes.
func zeroInputs(t *testing.T, s modelrt.Session) map[string]modelrt.Tensor {
	t.Helper()
	inputs := make(map[string]modelrt.Tensor)
	for _, p := range s.Signature().Inputs {
		shape := make([]int64, len(p.Shape))
		for i, n := range p.Shape {
			shape[i] = max(n, 1)
		}
		x, err := modelrt.NewTensor(p.DType, shape, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+4 <= len(x.Data); i += 4 { // little endian i32, each a byte of a file
			x.Data[i] = byte(i / 4 * 7)
		}
		inputs[p.Name] = x
	}
	return inputs
}

// runChild runs a model with OpenVINO in a child process.
func runChild(t *testing.T, run childRun) map[string]modelrt.Tensor {
	t.Helper()
	out, err := startChild(t, run)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// startChild is runChild that may fail, with what the child said.
func startChild(t *testing.T, run childRun) (out map[string]modelrt.Tensor, err error) {
	t.Helper()
	data, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	request := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(request, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], openVINOArgument, request)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatalf("%v: %.200s", err, answer)
	}
	return out, nil
}
