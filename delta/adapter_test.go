package delta_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/internal/synth"
)

// numbers is an f32 tensor for tests.
type numbers struct {
	name       string
	rows, cols int
	data       []float32
}

func normal(r *rand.Rand, name string, rows, cols int, size float64) numbers {
	t := numbers{name, rows, cols, make([]float32, rows*cols)}
	for i := range t.data {
		t.data[i] = float32(size * r.NormFloat64())
	}
	return t
}

// safetensors writes tensors as a file.
func safetensors(tensors ...numbers) []byte {
	var header []string
	var data []byte
	for _, t := range tensors {
		from := len(data)
		for _, x := range t.data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
		header = append(header, fmt.Sprintf(`%q:{"dtype":"F32","shape":[%d,%d],"data_offsets":[%d,%d]}`, t.name, t.rows, t.cols, from, len(data)))
	}
	text := "{" + strings.Join(header, ",") + "}"
	text += strings.Repeat(" ", (8-len(text)%8)%8)
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
}

// merge returns w plus scale times b·a, or its transpose, as float32 sums.
func merge(w, b, a numbers, scale float32, turned bool) numbers {
	out := numbers{w.name, w.rows, w.cols, bytes32(w.data)}
	for i := range b.rows {
		for j := range a.cols {
			var sum float32
			for k := range a.rows {
				sum += float32(b.data[i*b.cols+k] * a.data[k*a.cols+j])
			}
			at := i*w.cols + j
			if turned {
				at = j*w.cols + i
			}
			out.data[at] += float32(scale * sum)
		}
	}
	return out
}

func bytes32(x []float32) []float32 { return append([]float32(nil), x...) }

func named(b []byte, name string) *delta.Version {
	return &delta.Version{R: bytes.NewReader(b), Size: int64(len(b)), Name: name}
}

// size encodes and decodes and returns the delta's size.
func size(t *testing.T, old, next *delta.Version, adapter []byte) int64 {
	t.Helper()
	opt := delta.Options{Effort: codec.Strong}
	if adapter != nil {
		opt.Adapter = named(adapter, "adapter.safetensors")
	}
	var out, back bytes.Buffer
	r, err := delta.Encode(t.Context(), *old, *next, &out, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := delta.Decode(t.Context(), *old, &out, &back, delta.Options{}); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, next.Size)
	if _, err := next.R.ReadAt(want, 0); err != nil || !bytes.Equal(back.Bytes(), want) {
		t.Fatal("not the new file", err)
	}
	return r.DeltaBytes
}

// The rank of adapters here is one that is not looked for, so that all that is
// gained is the adapter's.
const testRank = 70

// Adapters are found under whatever names they have, in either orientation and
// with any scale.
func TestAdapterNames(t *testing.T) {
	for _, c := range []struct {
		weight, module, end string
		scale               float32
		turned              bool
	}{
		{"linear_1.w_0", "linear_1.w_0", "", 1, false},
		{"model.layers.1.self_attn.q_proj.weight", "base_model.model.model.layers.1.self_attn.q_proj", ".weight", 2, false},
		{"model.layers.1.self_attn.q_proj.weight", "base_model.model.model.layers.1.self_attn.q_proj", ".default.weight", 0.4, false},
		{"transformer.h.1.attn.c_attn.weight", "base_model.model.h.1.attn.c_attn", ".weight", 0.125, true},
		{"/model/layers.1/mlp/up_proj/MatMul.weight", "base_model.model.model.layers.1.mlp.up_proj", ".weight", -1, true},
	} {
		t.Run(c.module+c.end, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 8))
			out, in := 320, 400
			w := normal(r, c.weight, out, in, 0.05)
			if c.turned {
				w.rows, w.cols = in, out
			}
			other := normal(r, strings.Replace(c.weight, "1", "11", 1), w.rows, w.cols, 0.05)
			factors := make([]numbers, 0, 4)
			for _, module := range []string{strings.Replace(c.module, "1", "11", 1), c.module} {
				factors = append(factors,
					normal(r, module+".lora_A"+c.end, testRank, in, 0.02),
					normal(r, module+".lora_B"+c.end, out, testRank, 0.02))
			}
			factors[1].data = make([]float32, len(factors[1].data)) // as before training
			next := merge(w, factors[3], factors[2], c.scale, c.turned)
			a := named(safetensors(w, other), "old.safetensors")
			b := named(safetensors(next, other), "new.safetensors")
			without, with := size(t, a, b, nil), size(t, a, b, safetensors(factors...))
			t.Logf("%d bytes without the adapter, %d with it", without, with)
			if most := int64(4*testRank*(in+out)) + 2048; with > most || with >= without {
				t.Errorf("%d bytes with the adapter, %d without, want at most %d", with, without, most)
			}
		})
	}
}

// An adapter of another model, or one that was not merged, costs no byte.
func TestAdapterOfSomethingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	w := normal(r, "a.weight", 96, 96, 0.05)
	next := w
	next.data = bytes32(w.data)
	for i := range next.data {
		next.data[i] += float32(1e-4 * r.NormFloat64())
	}
	a, b := named(safetensors(w), "old.safetensors"), named(safetensors(next), "new.safetensors")
	want := size(t, a, b, nil)
	for name, adapter := range map[string][]byte{
		"other numbers": safetensors(normal(r, "a.lora_A.weight", 8, 96, 1), normal(r, "a.lora_B.weight", 96, 8, 1)),
		"other shape":   safetensors(normal(r, "a.lora_A.weight", 8, 95, 1), normal(r, "a.lora_B.weight", 96, 8, 1)),
		"other name":    safetensors(normal(r, "b.lora_A.weight", 8, 96, 1), normal(r, "b.lora_B.weight", 96, 8, 1)),
		"huge rank":     safetensors(normal(r, "a.lora_A.weight", 300, 96, 1), normal(r, "a.lora_B.weight", 96, 300, 1)),
		"huge numbers":  safetensors(normal(r, "a.lora_A.weight", 8, 96, 1e37), normal(r, "a.lora_B.weight", 96, 8, 1e37)),
		"more beside":   safetensors(normal(r, "a.lora_A.weight", 8, 96, 1), normal(r, "a.lora_B.weight", 96, 8, 1), normal(r, "a.lora_magnitude_vector", 96, 1, 1)),
	} {
		if got := size(t, a, b, adapter); got != want {
			t.Errorf("%s: %d bytes, without %d", name, got, want)
		}
	}
}

// malformed are adapters that are refused before anything is written.
func malformed() map[string][]byte {
	r := rand.New(rand.NewPCG(11, 12))
	a, b := normal(r, "x.lora_A.weight", 4, 12, 1), normal(r, "x.lora_B.weight", 8, 4, 1)
	wide, nan, twice := b, a, a
	wide.rows, wide.cols = 4, 8
	nan.data = bytes32(a.data)
	nan.data[5] = float32(math.NaN())
	twice.name = "x.lora_A"
	good := safetensors(a, b)
	return map[string][]byte{
		"empty":         {},
		"text":          []byte("lora_A, lora_B"),
		"cut":           good[:len(good)-4],
		"cut in header": good[:40],
		"no factors":    safetensors(normal(r, "x.weight", 4, 12, 1)),
		"one factor":    safetensors(b),
		"other ranks":   safetensors(a, wide),
		"not a number":  safetensors(nan, b),
		"twice":         safetensors(a, b, twice),
		"integers":      bytes.ReplaceAll(good, []byte("F32"), []byte("I32")),
		"no columns":    safetensors(numbers{name: "x.lora_A.weight", rows: 4}, b),
	}
}

func TestAdapterMalformed(t *testing.T) {
	file := *named([]byte("a file of no known format"), "")
	for name, adapter := range malformed() {
		var out bytes.Buffer
		_, err := delta.Encode(t.Context(), file, file, &out, delta.Options{Adapter: named(adapter, "x.safetensors")})
		if !errors.Is(err, delta.ErrAdapter) || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes written", name, err, out.Len())
		}
	}
}

// Whatever an adapter holds, the delta is right or there is none.
func FuzzAdapter(f *testing.F) {
	r := rand.New(rand.NewPCG(13, 14))
	w := normal(r, "x.weight", 8, 12, 0.05)
	a, b := normal(r, "x.lora_A.weight", 4, 12, 0.02), normal(r, "x.lora_B.weight", 8, 4, 0.02)
	old, next := safetensors(w), safetensors(merge(w, b, a, 2, false))
	f.Add(safetensors(a, b))
	for _, adapter := range malformed() {
		f.Add(adapter)
	}
	f.Fuzz(func(t *testing.T, adapter []byte) {
		var out, back bytes.Buffer
		x, y := named(old, "old.safetensors"), named(next, "new.safetensors")
		_, err := delta.Encode(t.Context(), *x, *y, &out, delta.Options{Adapter: named(adapter, "x.safetensors")})
		if errors.Is(err, delta.ErrAdapter) && out.Len() == 0 {
			return
		}
		if err == nil {
			err = delta.Decode(t.Context(), *x, &out, &back, delta.Options{})
		}
		if err != nil || !bytes.Equal(back.Bytes(), next) {
			t.Errorf("not the new file: %v", err)
		}
	})
}

// The corpus's class: what the publisher's factors make of a real model's
// update, summed in float32 as the class has it, and summed widely.
func TestAdapterOfRealModel(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: takes a minute")
	}
	s := synth.Open(corpus.Dir(t))
	for _, class := range synth.Classes() {
		if class.Name != "readme/lora-r8-f32-factors" {
			continue
		}
		u, err := class.Make(s)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			next []byte
			most int64
		}{"f32": {u.New, class.Reference}, "wide": {mergeWide(t, u), class.Reference}} {
			t.Run(name, func(t *testing.T) {
				a, b := named(u.Old, "old"+u.OldExt), named(c.next, "new"+u.NewExt)
				without, with := size(t, a, b, nil), size(t, a, b, u.Factors)
				t.Logf("%d bytes without the adapter, %d with it: %.4f of %d", without, with, float64(with)/float64(len(c.next)), len(c.next))
				if with >= without || with > c.most {
					t.Errorf("%d bytes with the adapter, %d without, want at most %d", with, without, c.most)
				}
			})
		}
	}
}

// mergeWide merges an update's factors with sums in float64.
func mergeWide(t *testing.T, u synth.Update) []byte {
	t.Helper()
	tensors := func(file []byte, name string) map[string][]float32 {
		l, err := chunker.Layout(t.Context(), bytes.NewReader(file), int64(len(file)), name, chunker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string][]float32{}
		for _, x := range l.Tensors {
			if x.DType != "f32" {
				continue
			}
			data := make([]float32, x.Length/4)
			if _, err := binary.Decode(file[x.Offset:x.Offset+x.Length], binary.LittleEndian, data); err != nil {
				t.Fatal(err)
			}
			all[x.Name] = data
		}
		return all
	}
	factors := tensors(u.Factors, "adapter.safetensors")
	out := bytes.Clone(u.Old)
	l, err := chunker.Layout(t.Context(), bytes.NewReader(out), int64(len(out)), filepath.Base("old"+u.OldExt), chunker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range l.Tensors {
		a, b := factors[x.Name+".lora_A"], factors[x.Name+".lora_B"]
		if a == nil || b == nil {
			continue
		}
		rows := int(x.Shape[0])
		rank, n := len(b)/rows, int(x.Length)/4
		cols := n / rows
		for i := range n {
			sum := 0.0
			for k := range rank {
				sum += float64(b[i/cols*rank+k]) * float64(a[k*cols+i%cols])
			}
			at := out[int(x.Offset)+4*i:]
			was := math.Float32frombits(binary.LittleEndian.Uint32(at))
			binary.LittleEndian.PutUint32(at, math.Float32bits(float32(float64(was)+sum)))
		}
	}
	return out
}
