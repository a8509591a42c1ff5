package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

// TestEveryClass makes every update: its size is the README's, its files are
// what their extensions say, and old and new differ.
func TestEveryClass(t *testing.T) {
	source := Open(corpus.Dir(t))
	seen := make(map[string]bool)
	for _, class := range Classes() {
		t.Run(class.Name, func(t *testing.T) {
			if seen[class.Name] {
				t.Fatal("two classes of this name")
			}
			seen[class.Name] = true
			if testing.Short() && class.Full > 20e6 {
				t.Skip("SKIP: 48 MB with -short")
			}
			u, err := class.Make(source)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(u.Old, u.New) {
				t.Error("nothing has changed")
			}
			// The README gives whole kB; safetensors headers add up to 25 kB.
			if off := float64(len(u.New)) - float64(class.Full); class.Full > 0 && math.Abs(off) > 1000 &&
				(!strings.HasPrefix(class.Name, "twin/") || off < 0 || off > 25e3) {
				t.Errorf("%d bytes, want about %d", len(u.New), class.Full)
			}
			checkFormat(t, u.Old, u.OldExt)
			checkFormat(t, u.New, u.NewExt)
			if strings.HasSuffix(class.Name, "-factors") {
				checkFormat(t, u.Factors, ".safetensors")
			}
		})
	}
}

// checkFormat lets the product's own strict reader judge a file.
func checkFormat(t *testing.T, file []byte, ext string) {
	t.Helper()
	l, err := chunker.Layout(context.Background(), bytes.NewReader(file), int64(len(file)), "x"+ext, chunker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(ext, "."); want != "" && l.Format != want {
		t.Errorf("a %s file, want %s", l.Format, want)
	}
	if ext != "" && len(l.Tensors) < 10 {
		t.Errorf("%d tensors in a %s file", len(l.Tensors), ext)
	}
}

// checkTensors counts the tensors of a safetensors file.
func checkTensors(t *testing.T, file []byte, want int) {
	t.Helper()
	l, err := chunker.Layout(context.Background(), bytes.NewReader(file), int64(len(file)), "x.safetensors", chunker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Tensors) != want {
		t.Errorf("%d tensors, want %d", len(l.Tensors), want)
	}
}

// TestTheSameBytesEverywhere pins what classes make.
func TestTheSameBytesEverywhere(t *testing.T) {
	source := Open(corpus.Dir(t))
	for _, class := range Classes() {
		want, pinned := pins[class.Name]
		if !pinned {
			continue
		}
		u, err := class.Make(source)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		h.Write(u.Old)
		h.Write(u.New)
		h.Write(u.Factors)
		if got := hex.EncodeToString(h.Sum(nil))[:16]; got != want {
			t.Errorf("%s: %s, pinned %s", class.Name, got, want)
		}
	}
}

var pins = map[string]string{
	"readme/180-bytes-int16":               "1d48d1dc2946ccc0",
	"readme/scattered-1pct-f32":            "3982a6308215a3c9",
	"readme/lora-r8-f32-factors":           "ac8d578ba6950f5b",
	"readme/noise-1e-3-f32":                "9405b3ecd3f0ab9a",
	"readme/noise-1e-3-f16":                "04090d1c170a740d",
	"readme/noise-1e-3-bf16":               "3edb1c48eb69ee8e",
	"readme/noise-1e-3-int8":               "56f4264b262bc037",
	"readme/prune-50-int8":                 "73e636cfc9e08eca",
	"readme/reorder-int16":                 "43c9844c8133c09f",
	"unseen/magika-grown-rows-f32":         "51dda6930acaabf4",
	"unseen/silero-lora-r8-f32-wide":       "e70999e1a0693873",
	"unseen/silero-noise-1e-3-gguf-q8_0":   "5de5d8b1b999d75b",
	"unseen/alexandria-reorder-int16-flat": "72f46ebede074712",
	"unrelated/model-after-text":           "fc2d5b40b71c8c91",
}

// TestFactorsAreTheUpdate: who has the old file and the factors has the new
// one, in the arithmetic that Update promises.
func TestFactorsAreTheUpdate(t *testing.T) {
	m, err := Open(corpus.Dir(t)).model(silero)
	if err != nil {
		t.Fatal(err)
	}
	updated, factors := adapt(m.tensors, 1e-2, false, "test")
	byName := make(map[string]tensor)
	for _, f := range factors {
		byName[f.name] = f
	}
	changed := 0
	for n, old := range m.tensors {
		b, ok := byName[old.name+".lora_B"]
		a := byName[old.name+".lora_A"]
		_, cols := old.rowsCols()
		for i, w := range old.data {
			if ok {
				var sum float32
				for k := range adaptRank {
					sum += float32(b.data[i/cols*adaptRank+k] * a.data[k*cols+i%cols])
				}
				w += sum
			}
			if w != updated[n].data[i] {
				t.Fatalf("%s[%d] = %g, by the factors %g", old.name, i, updated[n].data[i], w)
			}
		}
		if ok {
			changed++
			diff := tensor{data: make([]float32, len(old.data))}
			for i := range diff.data {
				diff.data[i] = updated[n].data[i] - old.data[i]
			}
			if r := diff.rms() / old.rms(); r < 0.006 || r > 0.015 {
				t.Errorf("%s changed by %.4f of its rms, want about 0.01", old.name, r)
			}
		}
	}
	if changed < 8 {
		t.Errorf("%d tensors with factors", changed)
	}
}
