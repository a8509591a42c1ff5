//go:build cgo && (linux || darwin)

package worker_test

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
)

// realModel is a model of the corpus and inputs for it.
type realModel struct {
	name, path string
	shapes     map[string][]int64 // for dimensions of any size
}

func realModels() []realModel {
	return []realModel{
		{"silero", "silero-onnx/v6.2/silero_vad.onnx", map[string][]int64{"input": {1, 512}, "state": {2, 1, 128}, "sr": {}}},
		{"magika", "magika-onnx/6-v3_2/model.onnx", map[string][]int64{"bytes": {1, 2048}}},
		{"ppocr", "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx", map[string][]int64{"x": {1, 3, 48, 320}}},
	}
}

// inputs are zeros, but for silero's sample rate.
func (m realModel) inputs(tb testing.TB, sig modelrt.Signature) map[string]modelrt.Tensor {
	tb.Helper()
	in := make(map[string]modelrt.Tensor)
	for _, p := range sig.Inputs {
		t, err := modelrt.NewTensor(p.DType, m.shapes[p.Name], 1<<24)
		if err != nil {
			tb.Fatal(err)
		}
		if p.Name == "sr" {
			t.Data[0], t.Data[1] = 0x80, 0x3e // 16000
		}
		in[p.Name] = t
	}
	return in
}

func equal(a, b modelrt.Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
}

// BenchmarkWorker runs each model in this process and in a worker by turns: the
// median and the best of each, how much this process grew by loading the model,
// and the memory of the worker.
func BenchmarkWorker(b *testing.B) {
	inProcess, inWorkers := engines(b)
	for _, m := range realModels() {
		b.Run(m.name, func(b *testing.B) {
			path := corpus.File(b, m.path)
			before := resident(b, os.Getpid())
			here := enginetest.Load(b, inProcess, path)
			grown := resident(b, os.Getpid()) - before
			there := enginetest.Load(b, inWorkers, path)
			in := m.inputs(b, here.Signature())
			var took [2][]time.Duration
			for b.Loop() {
				for i, s := range []modelrt.Session{here, there} {
					begin := time.Now()
					if _, err := s.Run(b.Context(), in); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(begin))
				}
			}
			inside, outside := median(took[0]), median(took[1])
			b.ReportMetric(float64(inside.Nanoseconds())/1e3, "median-µs/in-process")
			b.ReportMetric(float64(outside.Nanoseconds())/1e3, "median-µs/worker")
			// The best is what a busy machine changes least.
			b.ReportMetric(float64(slices.Min(took[0]).Nanoseconds())/1e3, "best-µs/in-process")
			b.ReportMetric(float64(slices.Min(took[1]).Nanoseconds())/1e3, "best-µs/worker")
			b.ReportMetric(float64(grown)/1e6, "MB/in-process")
			b.ReportMetric(float64(workerOf(b, there).ResidentBytes)/1e6, "MB/worker")
		})
	}
}

// BenchmarkFake is what a worker costs when the model does next to nothing, by
// the size of its one input and output.
func BenchmarkFake(b *testing.B) {
	e := newEngine(b, nil)
	for _, n := range []int{1, 512, 4096, 1 << 16, 1 << 20} {
		b.Run(strconv.Itoa(4*n)+"B", func(b *testing.B) {
			s := load(b, e, "echo")
			in := enginetest.X(make([]float32, n)...)
			b.SetBytes(int64(8 * n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Run(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoad is the start of a worker until its model is loaded.
func BenchmarkLoad(b *testing.B) {
	inProcess, inWorkers := engines(b)
	for name, e := range map[string]modelrt.Engine{"in-process": inProcess, "worker": inWorkers} {
		b.Run(name, func(b *testing.B) {
			path := corpus.File(b, realModels()[0].path)
			for b.Loop() {
				s, err := e.Load(b.Context(), path)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// resident is the memory of a process, 0 where the system does not tell.
func resident(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
