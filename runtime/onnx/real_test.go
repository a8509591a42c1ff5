//go:build cgo && (linux || darwin)

package onnx

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
)

const (
	silero51 = "silero-onnx/v5.1/silero_vad.onnx"
	silero60 = "silero-onnx/v6.0/silero_vad.onnx"
	silero62 = "silero-onnx/v6.2/silero_vad.onnx"
)

// newEngine returns an engine over the machine's library, or skips.
func newEngine(tb testing.TB) modelrt.Engine {
	tb.Helper()
	e, err := New(Config{LibraryPath: onnxtest.Library(tb), IntraOpThreads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// load loads one corpus model, or skips.
func load(tb testing.TB, name string) modelrt.Session {
	tb.Helper()
	e := newEngine(tb)
	s, err := e.Load(tb.Context(), corpus.File(tb, name))
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

func f32(shape []int64, at func(i int) float32) modelrt.Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	data := make([]byte, 0, 4*n)
	for i := range int(n) {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(at(i)))
	}
	return modelrt.Tensor{DType: modelrt.F32, Shape: shape, Data: data}
}

// speech returns inputs for silero: n windows of a tone that swells.
func speech(n int64) map[string]modelrt.Tensor {
	return map[string]modelrt.Tensor{
		"input": f32([]int64{n, 512}, func(i int) float32 {
			return float32(math.Sin(float64(i)/9) * float64(i%512) / 1024)
		}),
		"state": f32([]int64{2, n, 128}, func(int) float32 { return 0 }),
		"sr":    {DType: modelrt.I64, Shape: []int64{}, Data: binary.LittleEndian.AppendUint64(nil, 16000)},
	}
}

func values(t *testing.T, x modelrt.Tensor) []float32 {
	t.Helper()
	if err := x.Validate(); err != nil || x.DType != modelrt.F32 {
		t.Fatalf("not a valid f32 tensor: %v %v", x.DType, err)
	}
	out := make([]float32, len(x.Data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(x.Data[4*i:]))
	}
	return out
}

func TestSileroRuns(t *testing.T) {
	for _, name := range []string{silero51, silero60, silero62} {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			t.Logf("%+v", s.Signature())
			out, err := s.Run(t.Context(), speech(3))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := out["output"].Shape, []int64{3, 1}; !slices.Equal(got, want) {
				t.Errorf("output has shape %v, want %v", got, want)
			}
			for _, p := range values(t, out["output"]) {
				if p < 0 || p > 1 {
					t.Errorf("%v is no probability", p)
				}
			}
			if got, want := out["stateN"].Shape, []int64{2, 3, 128}; !slices.Equal(got, want) {
				t.Errorf("stateN has shape %v, want %v", got, want)
			}
			again, err := s.Run(context.Background(), speech(3))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(again["output"].Data, out["output"].Data) {
				t.Error("the same inputs gave other outputs")
			}
		})
	}
}

func TestOtherModelsRun(t *testing.T) {
	t.Run("magika", func(t *testing.T) {
		s := load(t, "magika-onnx/6-v3_2/model.onnx")
		t.Logf("%+v", s.Signature())
		in := s.Signature().Inputs[0]
		x, err := modelrt.NewTensor(in.DType, []int64{2, 2048}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(t.Context(), map[string]modelrt.Tensor{in.Name: x})
		if err != nil {
			t.Fatal(err)
		}
		scores := out[s.Signature().Outputs[0].Name]
		var sum float64
		for _, v := range values(t, scores) {
			sum += float64(v)
		}
		if scores.Shape[0] != 2 || math.Abs(sum-2) > 1e-3 {
			t.Errorf("scores of two files sum up to %v (shape %v), want 2", sum, scores.Shape)
		}
	})
	t.Run("ppocr", func(t *testing.T) {
		s := load(t, "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx")
		t.Logf("%+v", s.Signature())
		in := s.Signature().Inputs[0]
		out, err := s.Run(t.Context(), map[string]modelrt.Tensor{
			in.Name: f32([]int64{1, 3, 48, 320}, func(i int) float32 { return float32(i%7) / 7 }),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := out[s.Signature().Outputs[0].Name].Shape; len(got) != 3 || got[0] != 1 {
			t.Errorf("output has shape %v", got)
		}
	})
}

func TestRunRefusesWrongInputs(t *testing.T) {
	s := load(t, silero62)
	for name, change := range map[string]func(map[string]modelrt.Tensor){
		"missing":     func(in map[string]modelrt.Tensor) { delete(in, "sr") },
		"unknown":     func(in map[string]modelrt.Tensor) { in["volume"] = in["sr"] },
		"wrong dtype": func(in map[string]modelrt.Tensor) { in["sr"] = f32([]int64{}, func(int) float32 { return 16000 }) },
		"wrong rank":  func(in map[string]modelrt.Tensor) { in["input"] = f32([]int64{512}, func(int) float32 { return 0 }) },
		"short data": func(in map[string]modelrt.Tensor) {
			x := in["input"]
			x.Data = x.Data[:len(x.Data)-4]
			in["input"] = x
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := speech(1)
			change(in)
			if _, err := s.Run(t.Context(), in); !errors.Is(err, modelrt.ErrInput) {
				t.Errorf("got %v, want ErrInput", err)
			} else {
				t.Log(err)
			}
		})
	}
	t.Run("the model itself fails", func(t *testing.T) {
		in := speech(2)
		in["state"] = f32([]int64{2, 1, 128}, func(int) float32 { return 0 })
		if _, err := s.Run(t.Context(), in); !errors.Is(err, modelrt.ErrRun) {
			t.Errorf("got %v, want ErrRun", err)
		}
	})
}

func TestRunIsConcurrent(t *testing.T) {
	s := load(t, silero62)
	want, err := s.Run(t.Context(), speech(1))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				got, err := s.Run(t.Context(), speech(1))
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(got["output"].Data, want["output"].Data) {
					t.Error("a concurrent run gave other outputs")
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestRunStopsWithItsContext runs out of time in the middle of seconds of work.
func TestRunStopsWithItsContext(t *testing.T) {
	s := load(t, "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx")
	in := map[string]modelrt.Tensor{
		s.Signature().Inputs[0].Name: f32([]int64{16, 3, 48, 320}, func(int) float32 { return 0 }),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestClosedSessionSaysSo(t *testing.T) {
	s := load(t, silero62)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Run(t.Context(), speech(1)); !errors.Is(err, modelrt.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestLoadRefusesBadModels(t *testing.T) {
	e := newEngine(t)
	good, err := os.ReadFile(corpus.File(t, silero62))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty":        {},
		"garbage":      []byte("this is no model at all, whatever it is called"),
		"truncated":    good[:len(good)/2],
		"one byte off": good[:len(good)-1],
		"wrong opset":  model{opset: 999, op: "Identity", in: f32Type(-1), out: f32Type(-1)}.encode(),
		"unknown op":   model{opset: 17, op: "Frobnicate", in: f32Type(-1), out: f32Type(-1)}.encode(),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.onnx")
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := e.Load(t.Context(), path)
			if !errors.Is(err, modelrt.ErrLoad) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want ErrLoad that names the file", err)
			}
		})
	}
	// What is missing in the library is named.
	for name, c := range map[string]struct {
		model model
		want  []string
	}{
		"opset":    {model{opset: 999, op: "Identity", in: f32Type(-1), out: f32Type(-1)}, []string{"opset 999"}},
		"operator": {model{opset: 17, op: "Frobnicate", in: f32Type(-1), out: f32Type(-1)}, []string{"Frobnicate"}},
	} {
		path := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(path, c.model.encode(), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := e.Load(t.Context(), path)
		for _, want := range c.want {
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
				t.Errorf("missing %s: got %v, want %q in it", name, err, want)
			}
		}
	}
	t.Run("absent", func(t *testing.T) {
		if _, err := e.Load(t.Context(), filepath.Join(t.TempDir(), "none.onnx")); !errors.Is(err, modelrt.ErrLoad) {
			t.Errorf("got %v, want ErrLoad", err)
		}
	})
}

func TestInfoTellsTheLibrary(t *testing.T) {
	e := newEngine(t)
	load(t, silero62)
	info := e.Info()
	if info.Name != "onnxruntime" || len(info.LibrarySHA256) != 64 || !filepath.IsAbs(info.LibraryPath) {
		t.Errorf("incomplete: %+v", info)
	}
	t.Logf("%+v", info)
}
