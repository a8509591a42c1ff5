//go:build cgo && (linux || darwin)

package onnx

import (
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

// BenchmarkRunSilero is one window of 32 ms through a session of ours and, in
// turns, through the binding alone. The best time of each is reported, which a
// busy machine changes little.
func BenchmarkRunSilero(b *testing.B) {
	ours, in := load(b, silero62), speech(1)
	binding := newBinding(b)
	bestOurs, bestBinding := time.Hour, time.Hour
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if _, err := ours.Run(b.Context(), in); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		binding.run(b)
		bestOurs, bestBinding = min(bestOurs, middle.Sub(start)), min(bestBinding, time.Since(middle))
	}
	b.ReportMetric(float64(bestOurs), "best-ns/session")
	b.ReportMetric(float64(bestBinding), "best-ns/binding")
}

// binding is silero without anything of ours.
type binding struct {
	session        *ort.DynamicAdvancedSession
	samples, state []float32
}

// newBinding needs the library to be open.
func newBinding(b *testing.B) *binding {
	b.Helper()
	opts, err := ort.NewSessionOptions()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = opts.Destroy() }()
	if err := opts.SetIntraOpNumThreads(1); err != nil {
		b.Fatal(err)
	}
	s, err := ort.NewDynamicAdvancedSession(corpus.File(b, silero62), []string{"input", "state", "sr"}, []string{"output", "stateN"}, opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Destroy(); err != nil {
			b.Error(err)
		}
	})
	return &binding{session: s, samples: make([]float32, 512), state: make([]float32, 256)}
}

func (x *binding) run(b *testing.B) {
	samples, err := ort.NewTensor(ort.NewShape(1, 512), x.samples)
	if err != nil {
		b.Fatal(err)
	}
	state, err := ort.NewTensor(ort.NewShape(2, 1, 128), x.state)
	if err != nil {
		b.Fatal(err)
	}
	rate, err := ort.NewScalar[int64](16000)
	if err != nil {
		b.Fatal(err)
	}
	in, out := []ort.Value{samples, state, rate}, make([]ort.Value, 2)
	if err := x.session.Run(in, out); err != nil {
		b.Fatal(err)
	}
	for _, v := range append(in, out...) {
		if err := v.Destroy(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInferSilero adds the activator.
func BenchmarkInferSilero(b *testing.B) {
	a := newActivator(b, b.TempDir())
	if err := a.Activate(b.Context(), candidate(corpus.File(b, silero62))); err != nil {
		b.Fatal(err)
	}
	in := speech(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := a.Infer(b.Context(), "acme/vad", in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadSilero is the cost of Engine.Load.
func BenchmarkLoadSilero(b *testing.B) {
	e := newEngine(b)
	path := corpus.File(b, silero62)
	for b.Loop() {
		s, err := e.Load(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkActivateSilero is a whole activation: a child process that loads and
// runs, a load here, two durable writes, the switch.
func BenchmarkActivateSilero(b *testing.B) {
	a := newActivator(b, b.TempDir())
	first, second := candidate(corpus.File(b, silero60)), candidate(corpus.File(b, silero62))
	for b.Loop() {
		if err := a.Activate(b.Context(), first); err != nil {
			b.Fatal(err)
		}
		first, second = second, first
	}
}
