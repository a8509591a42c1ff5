package sections_test

import (
	"fmt"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// One array of each class and odd headers, of real weights and pruned ones.
func TestFindTellsClasses(t *testing.T) {
	sources := map[string][]float32{
		"ppocr":  weights(t, "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx", 2000),
		"silero": weights(t, "silero-onnx/v6.2/silero_vad.onnx", 2000),
		"normal": normal(1, 300000, 256),
	}
	for _, source := range []string{"ppocr", "silero", "normal"} {
		values := sources[source]
		for _, pruned := range []float64{0, 0.5, 0.8} {
			kept := values
			if pruned > 0 {
				kept = prune(values, pruned)
			}
			for _, test := range []struct {
				name  string
				class codec.Class
				limit float64
			}{
				{"int8", codec.Int8, 127},
				{"f16", codec.F16, 1},
				{"bf16", codec.BF16, 1},
				{"i16-400", codec.I16, 400},
				{"i16-60", codec.I16, 60},
				{"i16-20000", codec.I16, 20000},
				{"f32", codec.F32, 1},
				{"i32", codec.I32, 30000},
				{"i32-wide", codec.I32, 1e8},
				{"f64", codec.F64, 1},
				{"i64", codec.I64, 50000},
			} {
				for _, header := range []int{0, 7, 12} {
					t.Run(fmt.Sprintf("%s/%v/%s/%d", source, pruned, test.name, header), func(t *testing.T) {
						var b builder
						b.add(codec.Other, []byte("NNXY\x01\x00\x07\xa5\x91\xe3\x00\x00")[:header])
						b.add(test.class, encode(kept, test.class, test.limit))
						b.check(t, 0.98)
					})
				}
			}
		}
	}
}
