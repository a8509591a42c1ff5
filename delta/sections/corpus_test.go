package sections_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/sections"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

func load(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(corpus.File(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// paint returns the class of each byte.
func paint(found []sections.Section, size int) []codec.Class {
	classes := make([]codec.Class, size)
	for _, s := range found {
		for i := range s.Length {
			classes[s.Offset+i] = s.Class
		}
	}
	return classes
}

// layoutClasses returns the class of each byte as the file's structure has it,
// and the layout's tensors as sections.
func layoutClasses(tb testing.TB, name string, data []byte) []codec.Class {
	tb.Helper()
	l, err := chunker.Layout(tb.Context(), bytes.NewReader(data), int64(len(data)), filepath.Base(name), chunker.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var tensors []sections.Section
	for _, t := range l.Tensors {
		tensors = append(tensors, sections.Section{Offset: int64(t.Offset), Length: int64(t.Length), Class: codec.ClassOf(t.DType)})
	}
	return paint(tensors, len(data))
}

// rate returns the share of bytes that are right, of those in arrays, and of
// those that are in none.
func rate(tb testing.TB, want, got []codec.Class) (arrays, others float64) {
	tb.Helper()
	var n, right [2]int
	var confused [9][9]int
	for i := range want {
		k := 0
		if want[i] == codec.Other {
			k = 1
		}
		n[k]++
		if want[i] == got[i] {
			right[k]++
		}
		confused[want[i]][got[i]]++
	}
	for w := range confused {
		for g, c := range confused[w] {
			if c > 0 {
				tb.Logf("class %d found as %d: %d bytes", w, g, c)
			}
		}
	}
	return float64(right[0]) / float64(max(n[0], 1)), float64(right[1]) / float64(max(n[1], 1))
}

// Files whose structure is known, read as if it were not.
func TestFindAgainstLayouts(t *testing.T) {
	for _, test := range []struct {
		name           string
		arrays, others float64
	}{
		{"silero-16k-safetensors/v6.2/silero_vad_16k.safetensors", 0.999, 0.9},
		{"silero-onnx/v4.0/silero_vad.onnx", 0.98, 0.9},
		{"silero-onnx/v6.2/silero_vad.onnx", 0.98, 0.9},
		{"silero-16k-onnx/v6.2/silero_vad_16k_op15.onnx", 0.98, 0.9},
		{"magika-onnx/6-v3_2/model.onnx", 0.98, 0.9},
		{"ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx", 0.98, 0.9},
		{"mediapipe-pose/0.4.1633558788/pose_landmark_full.tflite", 0.98, 0.7},
	} {
		t.Run(filepath.Dir(test.name), func(t *testing.T) {
			data := load(t, test.name)
			found, err := sections.Find(t.Context(), bytes.NewReader(data), 0, int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			covers(t, found, 0, int64(len(data)))
			arrays, others := rate(t, layoutClasses(t, test.name, data), paint(found, len(data)))
			t.Logf("%.4f of arrays, %.4f of the rest", arrays, others)
			if arrays < test.arrays || others < test.others {
				t.Errorf("%.4f of arrays right, %.4f of the rest; want %v and %v", arrays, others, test.arrays, test.others)
			}
		})
	}
}
