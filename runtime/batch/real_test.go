package batch

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
)

// loadReal loads a corpus model behind a queue with one run at a time.
func loadReal(t *testing.T, name string) *session {
	t.Helper()
	inner, err := onnx.New(onnx.Config{LibraryPath: onnxtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig(slog.New(slog.DiscardHandler))
	cfg.Concurrency = 1
	e, err := NewEngine(inner, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Load(t.Context(), corpus.File(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*session)
}

// TestRecogniserBatches: PP-OCR's recogniser says that it takes any batch, and
// proves it; every answer is within tolerance of the one alone.
func TestRecogniserBatches(t *testing.T) {
	s := loadReal(t, "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx")
	rng := rand.New(rand.NewPCG(1, 2))
	line := func() map[string]modelrt.Tensor {
		values := make([]float32, 3*48*64)
		for i := range values {
			values[i] = rng.Float32()*2 - 1
		}
		return map[string]modelrt.Tensor{s.Signature().Inputs[0].Name: tensor([]int64{1, 3, 48, 64}, values)}
	}
	for range 10 {
		var in, alone [4]map[string]modelrt.Tensor
		for i := range in {
			var err error
			in[i] = line()
			if alone[i], err = s.inner.Run(t.Context(), in[i]); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for i := range in {
			wg.Go(func() {
				got, err := s.Run(t.Context(), in[i])
				if err != nil {
					t.Error(err)
					return
				}
				for name, out := range alone[i] {
					if err := same(out, got[name]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	if s.verdict != proven {
		t.Errorf("verdict %d after %d pairs that agreed, want proven", s.verdict, s.agreed)
	}
}

// TestSileroIsNeverBatched: its state has the batch in the second dimension.
func TestSileroIsNeverBatched(t *testing.T) {
	if s := loadReal(t, "silero-onnx/v6.2/silero_vad.onnx"); s.verdict != never {
		t.Errorf("verdict %d of %+v, want never", s.verdict, s.Signature())
	}
}
