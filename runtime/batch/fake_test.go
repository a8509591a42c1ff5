package batch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// fake is an engine with one model, which takes its time and then computes y
// from x by apply: twice each element, unless a test has something else.
type fake struct {
	takes time.Duration
	sig   modelrt.Signature
	apply func(x []float32) ([]float32, error)

	mu      sync.Mutex
	runs    []int64 // rows of each run that began
	stopped int     // runs that ended with their context
	active  int
	most    int // runs at once
}

func newFake(takes time.Duration) *fake {
	port := func(name string) []modelrt.Port {
		return []modelrt.Port{{Name: name, DType: modelrt.F32, Shape: []int64{-1, -1}}}
	}
	return &fake{takes: takes, apply: double, sig: modelrt.Signature{Inputs: port("x"), Outputs: port("y")}}
}

func (f *fake) Info() modelrt.Info { return modelrt.Info{Name: "fake"} }

func (f *fake) Load(context.Context, string) (modelrt.Session, error) { return f, nil }

func (f *fake) Signature() modelrt.Signature { return f.sig }

func (f *fake) Close() error { return nil }

func (f *fake) Run(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	x := inputs["x"]
	f.mu.Lock()
	f.runs = append(f.runs, x.Shape[0])
	f.active++
	f.most = max(f.most, f.active)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.active--
	}()
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stopped++
		return nil, ctx.Err()
	}
	y, err := f.apply(floats(x))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", modelrt.ErrRun, err)
	}
	return map[string]modelrt.Tensor{"y": tensor(x.Shape, y)}, nil
}

// began returns the rows of the runs so far, and forgets them.
func (f *fake) began() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	runs := f.runs
	f.runs = nil
	return runs
}

func double(x []float32) ([]float32, error) {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = 2 * v
	}
	return y, nil
}

// normalised is a model that batches badly: it divides by the largest element
// of the whole batch.
func normalised(x []float32) ([]float32, error) {
	var largest float32
	for _, v := range x {
		largest = max(largest, v)
	}
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = v / largest
	}
	return y, nil
}

var errBad = errors.New("bad element")

// picky fails for 13, as a model with an index out of range does.
func picky(x []float32) ([]float32, error) {
	if slices.Contains(x, 13) {
		return nil, errBad
	}
	return double(x)
}

func tensor(shape []int64, values []float32) modelrt.Tensor {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return modelrt.Tensor{DType: modelrt.F32, Shape: shape, Data: data}
}

func floats(t modelrt.Tensor) []float32 {
	out := make([]float32, len(t.Data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out
}

// row is a request of one row.
func row(values ...float32) map[string]modelrt.Tensor {
	return map[string]modelrt.Tensor{"x": tensor([]int64{1, int64(len(values))}, values)}
}

// load returns a session with the given bounds on f.
func load(t *testing.T, f *fake, change func(*Config)) *session {
	t.Helper()
	cfg := DefaultConfig(slog.New(slog.DiscardHandler))
	cfg.Concurrency = 1
	if change != nil {
		change(&cfg)
	}
	e, err := NewEngine(f, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Load(t.Context(), "/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if used := e.budget.used.Load(); used != 0 {
			t.Errorf("%d bytes are still counted in flight", used)
		}
	})
	return s.(*session)
}

// mustDouble runs one row and checks the answer.
func mustDouble(t *testing.T, s modelrt.Session, value float32) {
	t.Helper()
	out, err := s.Run(t.Context(), row(value))
	if err != nil {
		t.Errorf("request of %g: %v", value, err)
		return
	}
	if got := floats(out["y"]); len(got) != 1 || got[0] != 2*value {
		t.Errorf("request of %g was answered %v", value, got)
	}
}

// together sends n requests of one row, from first on, at the same time, and
// waits for their answers.
func together(t *testing.T, s modelrt.Session, first float32, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { mustDouble(t, s, first+float32(i)) })
	}
	wg.Wait()
}
