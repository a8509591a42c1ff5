package codec_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Real models whose numbers are nearly all f32. Their layouts are made by
// package chunker, which codec does not import; here each file stands for one
// tensor, see aligned.
var models = []struct {
	name, file string
}{
	{"silero", "silero-16k-safetensors/v6.2/silero_vad_16k.safetensors"},
	{"magika", "magika-onnx/6-v3_2/model.onnx"},
	{"ppocr", "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx"},
}

const chunkBytes = 128 << 10

// aligned returns the segments of each chunk as if it were f32 throughout,
// shifted by the 0 to 3 bytes that code it smallest.
func aligned(tb testing.TB, c *codec.Coder, data []byte) func(offset, length int) []codec.Segment {
	tb.Helper()
	layouts := make([]*manifest.Layout, 4)
	for i := range layouts {
		layouts[i] = &manifest.Layout{Size: uint64(len(data)), Tensors: []manifest.Tensor{{DType: "f32", Offset: uint64(i), Length: uint64(len(data) - i)}}}
	}
	best := make(map[int][]codec.Segment)
	for at := 0; at < len(data); at += chunkBytes {
		chunk := data[at:min(at+chunkBytes, len(data))]
		least := len(chunk) + 1
		for _, l := range layouts {
			segs := codec.Segments(nil, l, uint64(at), len(chunk))
			f, err := c.Encode(nil, chunk, segs, codec.Fast)
			if err != nil {
				tb.Fatal(err)
			}
			if len(f.Payload) < least {
				least, best[at] = len(f.Payload), segs
			}
		}
	}
	return func(offset, _ int) []codec.Segment { return best[offset] }
}

func BenchmarkEncode(b *testing.B) {
	for _, m := range models {
		for name, effort := range map[string]codec.Effort{"light": codec.Light, "fast": codec.Fast, "strong": codec.Strong} {
			b.Run(m.name+"/"+name, func(b *testing.B) {
				data, c := read(b, m.file), &codec.Coder{}
				segments := aligned(b, c, data)
				buf := make([]byte, codec.MaxFrameBytes)
				b.SetBytes(int64(len(data)))
				var total int
				for b.Loop() {
					total = 0
					for at := 0; at < len(data); at += chunkBytes {
						chunk := data[at:min(at+chunkBytes, len(data))]
						f, err := c.Encode(buf, chunk, segments(at, len(chunk)), effort)
						if err != nil {
							b.Fatal(err)
						}
						total += len(f.Payload) + 6
					}
				}
				b.ReportMetric(100*float64(total)/float64(len(data)), "%size")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, m := range models {
		b.Run(m.name, func(b *testing.B) {
			data, c := read(b, m.file), &codec.Coder{}
			segments := aligned(b, c, data)
			frames := make(map[int]codec.Frame)
			for at := 0; at < len(data); at += chunkBytes {
				chunk := data[at:min(at+chunkBytes, len(data))]
				f, err := c.Encode(nil, chunk, segments(at, len(chunk)), codec.Fast)
				if err != nil {
					b.Fatal(err)
				}
				frames[at] = f
			}
			dst := make([]byte, chunkBytes)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				for at, f := range frames {
					if _, err := c.Decode(dst, f, f.RawBytes, segments(at, f.RawBytes)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkZstdTool is the yardstick: the whole file through the zstd program.
func BenchmarkZstdTool(b *testing.B) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		b.Skip("SKIP: no zstd program here to compare with")
	}
	for _, m := range models {
		for _, level := range []string{"-3", "-19"} {
			b.Run(m.name+"/"+level, func(b *testing.B) {
				path := corpus.File(b, m.file)
				data := read(b, m.file)
				b.SetBytes(int64(len(data)))
				var size int
				for b.Loop() {
					out, err := exec.CommandContext(b.Context(), zstd, "-q", "-c", "-T1", level, path).Output()
					if err != nil {
						b.Fatal(err)
					}
					size = len(out)
				}
				b.ReportMetric(100*float64(size)/float64(len(data)), "%size")
			})
		}
	}
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(corpus.File(tb, file))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
