package text_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/text"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// run is bytes to code, and where in old they probably continue.
type run struct {
	data []byte
	hint int64
}

// minTensor is the least length, in bytes, of a tensor that is cut out of what
// the tests code.
const minTensor = 256

func tensors(tb testing.TB, name string, data []byte) []manifest.Tensor {
	l, err := chunker.Layout(tb.Context(), bytes.NewReader(data), int64(len(data)), name, chunker.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var out []manifest.Tensor
	for _, t := range l.Tensors {
		if t.Length >= minTensor {
			out = append(out, t)
		}
	}
	return out
}

// graph cuts the weights out of a model and returns what lies between, with
// the hints that a plan would hold: behind the tensor of the same name in old.
func graph(tb testing.TB, oldName, newName string) (old []byte, runs []run) {
	old, data := load(tb, oldName), load(tb, newName)
	type key struct {
		name   string
		length uint64
	}
	ends := map[key]int64{}
	for _, t := range tensors(tb, oldName, old) {
		ends[key{t.Name, t.Length}] = int64(t.Offset + t.Length)
	}
	at, hint := uint64(0), int64(0)
	for _, t := range tensors(tb, newName, data) {
		if t.Offset > at {
			runs = append(runs, run{data[at:t.Offset], hint})
		}
		at, hint = t.Offset+t.Length, -1
		if end, ok := ends[key{t.Name, t.Length}]; ok {
			hint = end
		}
	}
	if at < uint64(len(data)) {
		runs = append(runs, run{data[at:], hint})
	}
	return old, runs
}

func load(tb testing.TB, name string) []byte {
	data, err := os.ReadFile(corpus.File(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func total(runs []run) (n int64) {
	for _, r := range runs {
		n += int64(len(r.data))
	}
	return n
}

func newModel(tb testing.TB, old []byte, n int64) *text.Model {
	if old == nil {
		return text.NewModel(nil, n)
	}
	o, err := text.NewOld(bytes.NewReader(old), int64(len(old)), text.DefaultBudget)
	if err != nil {
		tb.Fatal(err)
	}
	return text.NewModel(o, n)
}

func encode(tb testing.TB, old []byte, runs []run) []byte {
	enc := mix.NewEncoder(nil)
	m := newModel(tb, old, total(runs))
	for _, r := range runs {
		if err := m.Code(tb.Context(), enc, r.hint, bytes.Clone(r.data)); err != nil {
			tb.Fatal(err)
		}
	}
	return enc.Finish()
}

// roundTrip codes runs, checks that they come back, and returns the bytes.
func roundTrip(tb testing.TB, old []byte, runs []run) []byte {
	coded := encode(tb, old, runs)
	dec := mix.NewDecoder(coded)
	m := newModel(tb, old, total(runs))
	for i, r := range runs {
		got := make([]byte, len(r.data))
		if err := m.Code(tb.Context(), dec, r.hint, got); err != nil {
			tb.Fatal(err)
		}
		if !bytes.Equal(got, r.data) {
			tb.Fatalf("run %d of %d bytes came back changed", i, len(r.data))
		}
	}
	return coded
}

// The graphs of real models against their predecessors', beside what zstd -19
// --long=31 --patch-from makes of the same bytes.
func TestCorpus(t *testing.T) {
	const dir = "silero-onnx/"
	for _, c := range []struct {
		old, new   string
		zstd, most int
	}{
		{dir + "v5.0/silero_vad.onnx", dir + "v5.1/silero_vad.onnx", 4968, 2750},
		{dir + "v4.0/silero_vad.onnx", dir + "v4.0-hotfix/silero_vad.onnx", 3994, 2800},
		{dir + "v5.1/silero_vad.onnx", dir + "v6.0/silero_vad.onnx", 54, 40},
		{dir + "v6.2/silero_vad.onnx", "silero-16k-onnx/v6.2/silero_vad_16k_op15.onnx", 4497, 1650},
		{"silero-jit/v6.0/silero_vad.jit", "silero-jit/v6.2/silero_vad.jit", 4424, 3400},
		{"magika-onnx/3-v3_0a/model.onnx", "magika-onnx/4-v3_0b/model.onnx", 474, 350},
		{"mediapipe-pose/0.3.1621277220/pose_landmark_full.tflite", "mediapipe-pose/0.4.1633558788/pose_landmark_full.tflite", 16088, 12400},
	} {
		old, runs := graph(t, c.old, c.new)
		alone := len(encode(t, nil, runs))
		got := len(roundTrip(t, old, runs))
		t.Logf("%-60s %7d bytes in %3d runs: %5d, zstd %5d (%d%%); without old %d", c.new, total(runs), len(runs), got, c.zstd, got*100/c.zstd, alone)
		if got > c.most {
			t.Errorf("%s: %d bytes, want at most %d", c.new, got, c.most)
		}
	}
}

func BenchmarkCode(b *testing.B) {
	old, runs := graph(b, "silero-onnx/v5.0/silero_vad.onnx", "silero-onnx/v5.1/silero_vad.onnx")
	for _, c := range []struct {
		name string
		old  []byte
	}{{"old", old}, {"alone", nil}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(total(runs))
			b.ReportAllocs()
			for b.Loop() {
				encode(b, c.old, runs)
			}
		})
	}
}
