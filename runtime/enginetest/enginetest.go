// Package enginetest holds the conformance suite of runtime.Engine and
// runtime.Session, which every engine passes: ONNX Runtime in this process,
// ONNX Runtime in a worker process, and the [Fake] of this package, which stands
// where an engine is needed and none is at hand. Only tests import it.
package enginetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Subject is an engine and what it can load. Every model takes x, and gives y,
// both f32 of one dimension of any size.
type Subject struct {
	Engine modelrt.Engine
	// Double is the absolute path of a model of y = x + x.
	Double string
	// Endless is that of a model which runs for minutes unless it is stopped.
	Endless string
	// Malformed is that of a file that is no model.
	Malformed string
}

// X returns inputs of these values.
func X(values ...float32) map[string]modelrt.Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return map[string]modelrt.Tensor{"x": {DType: modelrt.F32, Shape: []int64{int64(len(values))}, Data: data}}
}

// ramp returns n values of its own for each seed.
func ramp(seed, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(seed*1000 + i%997)
	}
	return values
}

// CheckDouble fails the test unless outputs are twice the inputs.
func CheckDouble(tb testing.TB, inputs, outputs map[string]modelrt.Tensor) {
	tb.Helper()
	x, y := inputs["x"], outputs["y"]
	if err := y.Validate(); err != nil || len(outputs) != 1 || y.DType != modelrt.F32 || len(y.Shape) != 1 || y.Shape[0] != x.Shape[0] {
		tb.Fatalf("got %d outputs, y is %s%v of %d bytes (%v)", len(outputs), y.DType, y.Shape, len(y.Data), err)
	}
	for i := 0; i < len(x.Data); i += 4 {
		in := math.Float32frombits(binary.LittleEndian.Uint32(x.Data[i:]))
		if out := math.Float32frombits(binary.LittleEndian.Uint32(y.Data[i:])); out != in+in {
			tb.Fatalf("y[%d] is %v, x is %v", i/4, out, in)
		}
	}
}

// Load loads a model and has it closed with the test.
func Load(tb testing.TB, engine modelrt.Engine, path string) modelrt.Session {
	tb.Helper()
	s, err := engine.Load(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Run("info", func(t *testing.T) {
		if info := s.Engine.Info(); info.Name == "" || info.Reason != "" {
			t.Errorf("the engine says %+v", info)
		}
	})
	t.Run("load", func(t *testing.T) { testLoad(t, s) })
	t.Run("sizes", func(t *testing.T) { testSizes(t, s) })
	t.Run("ownership", func(t *testing.T) { testOwnership(t, s) })
	t.Run("input", func(t *testing.T) { testInput(t, s) })
	t.Run("concurrency", func(t *testing.T) { testConcurrency(t, s) })
	t.Run("stop", func(t *testing.T) { testStop(t, s) })
	t.Run("close", func(t *testing.T) { testClose(t, s) })
}

func testLoad(t *testing.T, s Subject) {
	for _, path := range []string{s.Malformed, filepath.Join(t.TempDir(), "missing.onnx")} {
		if session, err := s.Engine.Load(t.Context(), path); !errors.Is(err, modelrt.ErrLoad) || session != nil {
			t.Errorf("load of %s gives %v, want ErrLoad", filepath.Base(path), err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Engine.Load(ended, s.Double); !errors.Is(err, context.Canceled) {
		t.Errorf("load with a context that has ended gives %v", err)
	}
	sig := Load(t, s.Engine, s.Double).Signature()
	for _, ports := range [][]modelrt.Port{sig.Inputs, sig.Outputs} {
		if len(ports) != 1 || ports[0].DType != modelrt.F32 || len(ports[0].Shape) != 1 || ports[0].Shape[0] != -1 {
			t.Errorf("signature is %+v", sig)
		}
	}
}

func testSizes(t *testing.T, s Subject) {
	session := Load(t, s.Engine, s.Double)
	for seed, n := range []int{1, 3, 1000, 1023, 1024, 1025, 100_000, 3_000_000, 0, 2} {
		in := X(ramp(seed, n)...)
		out, err := session.Run(t.Context(), in)
		if err != nil {
			t.Fatalf("%d values: %v", n, err)
		}
		CheckDouble(t, in, out)
	}
}

func testOwnership(t *testing.T, s Subject) {
	session := Load(t, s.Engine, s.Double)
	for _, n := range []int{4, 50_000} {
		in := X(ramp(1, n)...)
		before := bytes.Clone(in["x"].Data)
		first, err := session.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in["x"].Data, before) {
			t.Error("a run changed its inputs")
		}
		kept := bytes.Clone(first["y"].Data)
		clear(in["x"].Data) // ours again
		for range 3 {
			second, err := session.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			clear(second["y"].Data) // ours, too
		}
		if !bytes.Equal(first["y"].Data, kept) {
			t.Error("later runs changed what an earlier one gave")
		}
	}
}

func testInput(t *testing.T, s Subject) {
	session := Load(t, s.Engine, s.Double)
	good := X(1)["x"]
	for name, in := range map[string]map[string]modelrt.Tensor{
		"none":       {},
		"other name": {"z": good},
		"one more":   {"x": good, "z": good},
		"other type": {"x": {DType: modelrt.I32, Shape: []int64{1}, Data: make([]byte, 4)}},
		"other rank": {"x": {DType: modelrt.F32, Shape: []int64{1, 1}, Data: make([]byte, 4)}},
		"too short":  {"x": {DType: modelrt.F32, Shape: []int64{2}, Data: make([]byte, 4)}},
	} {
		if out, err := session.Run(t.Context(), in); !errors.Is(err, modelrt.ErrInput) || out != nil {
			t.Errorf("%s: got %v, want ErrInput", name, err)
		}
	}
	if _, err := session.Run(t.Context(), X(1)); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func testConcurrency(t *testing.T, s Subject) {
	session := Load(t, s.Engine, s.Double)
	var wg sync.WaitGroup
	for seed := range 8 {
		wg.Go(func() {
			for i := range 20 {
				in := X(ramp(seed, 1+seed*700+i)...)
				out, err := session.Run(t.Context(), in)
				if err != nil {
					t.Error(err)
					return
				}
				x, y := in["x"], out["y"]
				if len(x.Data) != len(y.Data) || !bytes.Equal(double(x.Data), y.Data) {
					t.Error("a run got the outputs of another one")
					return
				}
			}
		})
	}
	wg.Wait()
}

func double(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v+v))
	}
	return out
}

func testStop(t *testing.T, s Subject) {
	session := Load(t, s.Engine, s.Endless)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := session.Run(ended, X(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begin := time.Now()
		_, err := session.Run(ctx, X(1, 2, 3))
		cancel()
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
			t.Fatalf("after %s: %v", took, err)
		}
	}
}

func testClose(t *testing.T, s Subject) {
	session, err := s.Engine.Load(t.Context(), s.Double)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := session.Run(t.Context(), X(1)); !errors.Is(err, modelrt.ErrClosed) {
		t.Errorf("run after close: %v", err)
	}
}

// WriteFile writes a model file for a test and returns its absolute path.
func WriteFile(tb testing.TB, name string, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}
