package sections_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/sections"
)

// What is no array stays Other.
func TestFindLeavesTheRest(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	noise := make([]byte, 200000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	source, err := os.ReadFile("find_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []map[string]any
	for i := range 2000 {
		names = append(names, map[string]any{"name": fmt.Sprintf("/encoder/layers.%d/MatMul_%d", i%12, i), "shape": []int{i, 512}})
	}
	graph, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Join([][]byte{graph, encode(normal(9, 100000, 64), codec.F32, 1)}, nil)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		data  []byte
		share float64
	}{
		{"noise", noise, 1},
		{"code", source, 1},
		{"utf-8", []byte(strings.Repeat("Größenordnung 算術 符号化 ∑ p·log p; ", 700)), 1},
		{"json", graph, 1},
		{"deflated", packed.Bytes(), 1},
		{"onnx graph", load(t, "magika-onnx/6-v3_2/model.onnx")[:24000], 0.98},
		{"torchscript code", load(t, "silero-jit/v6.2/silero_vad.jit")[2200000:], 0.9},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := sections.Find(t.Context(), bytes.NewReader(test.data), 0, int64(len(test.data)))
			if err != nil {
				t.Fatal(err)
			}
			covers(t, found, 0, int64(len(test.data)))
			other := int64(0)
			for _, s := range found {
				if s.Class == codec.Other {
					other += s.Length
				}
			}
			if share := float64(other) / float64(len(test.data)); share < test.share {
				t.Errorf("%.4f of %d bytes are Other, want %v: %v", share, len(test.data), test.share, found)
			}
		})
	}
}
