package sections_test

import (
	"fmt"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// thin returns at most n values, in runs of 4096 from all over.
func thin(values []float32, n int) []float32 {
	const run = 4096
	every := max(len(values)/n, 1)
	var out []float32
	for i := 0; i+run <= len(values); i += run * every {
		out = append(out, values[i:i+run]...)
	}
	return out
}

// One array of each class behind odd headers, of real weights and of a normal
// distribution, whole and pruned. What hardly occurs, pruned integers that are wide
// or fill their type, may go wrong in part.
func TestFindTellsClasses(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: arithmetic in one goroutine, too slow under the race detector")
	}
	sources := []struct {
		name   string
		values []float32
	}{
		{"ppocr", thin(weights(t, "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx", 2000), 200000)},
		{"silero", thin(weights(t, "silero-onnx/v6.2/silero_vad.onnx", 2000), 200000)},
		{"normal", normal(1, 300000, 256)},
	}
	headers := []int{0, 7, 12}
	for _, source := range sources {
		for _, pruned := range []float64{0, 0.5, 0.8} {
			values := source.values
			if pruned > 0 {
				values = prune(values, pruned)
			}
			for i, test := range []struct {
				name   string
				class  codec.Class
				limit  float64
				pruned float64 // what must be right of pruned ones
			}{
				{"int8", codec.Int8, 127, 0.95},
				{"f16", codec.F16, 1, 0.98},
				{"bf16", codec.BF16, 1, 0.98},
				{"i16-60", codec.I16, 60, 0.98},
				{"i16-400", codec.I16, 400, 0.98},
				{"i16-20000", codec.I16, 20000, 0.7},
				{"f32", codec.F32, 1, 0.98},
				{"i32", codec.I32, 30000, 0.98},
				{"i32-wide", codec.I32, 1e8, 0.85},
				{"f64", codec.F64, 1, 0.98},
				{"i64", codec.I64, 50000, 0.85},
			} {
				header := headers[i%len(headers)]
				t.Run(fmt.Sprintf("%s/%v/%s/%d", source.name, pruned, test.name, header), func(t *testing.T) {
					share := 0.98
					if pruned > 0 {
						share = test.pruned
					}
					var b builder
					b.add(codec.Other, []byte("NNXY\x01\x00\x07\xa5\x91\xe3\x00\x00")[:header])
					b.add(test.class, encode(values, test.class, test.limit))
					b.check(t, share)
				})
			}
		}
	}
}

// Sections of different types in one file, as engines write their nets.
func TestFindCutsNets(t *testing.T) {
	const hidden = 256
	random := normal(7, 3<<20, hidden)
	part := func(n int) []float32 { return random[n : 2*n] }
	for _, header := range []int{0, 3, 7, 64, 178} {
		t.Run(fmt.Sprint(header), func(t *testing.T) {
			var b builder
			text := "NNUE\x00\x01\xf3\x7a, made by the trainer of an engine, see https://example.org/nets and the licence there; "
			b.add(codec.Other, []byte(text + text)[:header])
			b.add(codec.I16, encode(part(768*hidden), codec.I16, 500))
			b.add(codec.I16, encode(part(hidden), codec.I16, 2000))
			b.add(codec.Int8, encode(part(2*hidden*32), codec.Int8, 127))
			b.add(codec.I32, encode(part(64), codec.I32, 20000))
			b.add(codec.Int8, encode(part(32*32), codec.Int8, 127))
			b.add(codec.F32, encode(part(8192), codec.F32, 1))
			b.add(codec.F16, encode(part(30000), codec.F16, 1))
			found := b.check(t, 0.998)
			for _, s := range found {
				if s.Class == codec.I16 && s.Cols != hidden {
					t.Errorf("rows of %d, want %d", s.Cols, hidden)
				}
			}
		})
	}
}
