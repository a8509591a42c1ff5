//go:build cgo && (linux || darwin)

package worker_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/runtime/worker"
)

// workerEngine is the engine that a worker which tests start loads models with.
func workerEngine(args []string) modelrt.Engine {
	if len(args) == 0 {
		return misbehaving()
	}
	e, err := onnx.New(onnx.Config{LibraryPath: args[0], IntraOpThreads: 1})
	if err != nil {
		return modelrt.NoEngine(err)
	}
	return e
}

// engines returns ONNX Runtime in this process and in workers, or skips.
func engines(tb testing.TB) (inProcess, inWorkers modelrt.Engine) {
	tb.Helper()
	library := onnxtest.Library(tb)
	inProcess, err := onnx.New(onnx.Config{LibraryPath: library, IntraOpThreads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	return inProcess, newEngine(tb, func(c *worker.Config) { c.Info, c.Arguments = inProcess.Info(), []string{library} })
}

func TestOnnxInWorkersConforms(t *testing.T) {
	_, e := engines(t)
	enginetest.Run(t, onnxtest.Subject(t, e))
}

// TestSameAnswers compares real models in a worker with the same in this
// process.
func TestSameAnswers(t *testing.T) {
	inProcess, inWorkers := engines(t)
	for _, m := range realModels() {
		t.Run(m.name, func(t *testing.T) {
			path := corpus.File(t, m.path)
			here, there := enginetest.Load(t, inProcess, path), enginetest.Load(t, inWorkers, path)
			in := m.inputs(t, here.Signature())
			want, err := here.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := there.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for name := range want {
				if !equal(want[name], got[name]) {
					t.Errorf("output %s differs", name)
				}
			}
		})
	}
}

// TestLibraryThatIsMissing: what a worker's engine says is passed on.
func TestLibraryThatIsMissing(t *testing.T) {
	e, err := worker.New(worker.Config{
		Info: modelrt.Info{Name: "onnxruntime"}, Arguments: []string{"/none/such.so"}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Load(t.Context(), enginetest.WriteFile(t, "model.onnx", nil)); !errors.Is(err, modelrt.ErrNoRuntime) {
		t.Errorf("got %v, want ErrNoRuntime", err)
	}
}
