//go:build cgo && (linux || darwin)

package onnx

import (
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

// BenchmarkRunSilero is one window of 32 ms through a session of ours, to be
// compared with BenchmarkBindingSilero, the same through the binding alone.
func BenchmarkRunSilero(b *testing.B) {
	s := load(b, silero62)
	in := speech(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBindingSilero(b *testing.B) {
	load(b, silero62) // opens the library
	opts, err := ort.NewSessionOptions()
	if err != nil {
		b.Fatal(err)
	}
	defer opts.Destroy()
	if err := opts.SetIntraOpNumThreads(1); err != nil {
		b.Fatal(err)
	}
	s, err := ort.NewDynamicAdvancedSession(corpus.File(b, silero62), []string{"input", "state", "sr"}, []string{"output", "stateN"}, opts)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Destroy()
	samples, state := make([]float32, 512), make([]float32, 256)
	b.ReportAllocs()
	for b.Loop() {
		x, err := ort.NewTensor(ort.NewShape(1, 512), samples)
		if err != nil {
			b.Fatal(err)
		}
		h, err := ort.NewTensor(ort.NewShape(2, 1, 128), state)
		if err != nil {
			b.Fatal(err)
		}
		rate, err := ort.NewScalar[int64](16000)
		if err != nil {
			b.Fatal(err)
		}
		in, out := []ort.Value{x, h, rate}, make([]ort.Value, 2)
		if err := s.Run(in, out); err != nil {
			b.Fatal(err)
		}
		for _, v := range append(in, out...) {
			if err := v.Destroy(); err != nil {
				b.Fatal(err)
			}
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
