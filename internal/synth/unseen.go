package synth

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

var (
	sileroHead = []string{"If_0_else_branch__Inline_0__decoder.decoder.2.weight", "If_0_else_branch__Inline_0__decoder.rnn.weight_hh"}
	magikaHead = []string{"jax2tf_get_logits_/Const_24:0"}
)

// unseen returns classes that the README does not have: other models, other
// containers, conversions, and files that have nothing in common.
func unseen() []Class {
	var out []Class
	add := func(name string, build func(*Source, string) (Update, error)) {
		out = append(out, Class{Name: "unseen/" + name, build: build})
	}
	for _, m := range []struct {
		name, file string
		head       []string
	}{{"silero", silero, sileroHead}, {"magika", magika, magikaHead}} {
		in := func(f format, c change) func(*Source, string) (Update, error) { return update(m.file, f, f, c) }
		add(m.name+"-head-1e-2-f32", in(native, headed(m.head...)))
		add(m.name+"-scattered-1pct-f32", in(native, scattered))
		add(m.name+"-lora-r8-f32", in(native, merged(false)))
		add(m.name+"-lora-r8-f32-wide", in(native, merged(true)))
		add(m.name+"-noise-1e-3-f32", in(native, noisy(1e-3)))
		add(m.name+"-noise-1e-3-f32-flat", in(bare(as("F32")), noisy(1e-3)))
		add(m.name+"-noise-1e-3-f16", in(strict(as("F16")), noisy(1e-3)))
		add(m.name+"-noise-1e-3-bf16", in(strict(as("BF16")), noisy(1e-3)))
		add(m.name+"-noise-1e-3-int8", in(strict(int8s), noisy(1e-3)))
		add(m.name+"-noise-1e-3-int16", in(strict(int16s), noisy(1e-3)))
		add(m.name+"-noise-1e-3-gguf-f16", in(block("F16"), noisy(1e-3)))
		add(m.name+"-noise-1e-3-gguf-q8_0", in(block("Q8_0"), noisy(1e-3)))
		add(m.name+"-noise-1e-3-npz-stored", in(zipped(zip.Store), noisy(1e-3)))
		add(m.name+"-noise-1e-3-npz-deflated", in(zipped(zip.Deflate), noisy(1e-3)))
		add(m.name+"-prune-60-f32", in(native, pruned(60)))
		add(m.name+"-prune-60-f16", in(strict(as("F16")), pruned(60)))
		add(m.name+"-reorder-f32", in(native, reordered))
		add(m.name+"-reorder-int8", in(strict(int8s), reordered))
		add(m.name+"-reorder-noise-1e-4-bf16", in(strict(as("BF16")), reorderedNoisy))
		add(m.name+"-renamed-moved-f32", update(m.file, strict(as("F32")), strict(renamed("F32")), same))
		add(m.name+"-renamed-noise-1e-3-bf16", update(m.file, strict(as("BF16")), strict(renamed("BF16")), noisy(1e-3)))
		add(m.name+"-onnx-to-safetensors", update(m.file, native, strict(as("F32")), same))
		add(m.name+"-safetensors-to-npz", update(m.file, strict(as("F32")), zipped(zip.Store), same))
		add(m.name+"-onnx-to-gguf-f16", update(m.file, native, block("F16"), same))
		add(m.name+"-f32-to-f16", update(m.file, strict(as("F32")), strict(as("F16")), same))
		add(m.name+"-f32-to-bf16", update(m.file, strict(as("F32")), strict(as("BF16")), same))
		add(m.name+"-bf16-to-f32", update(m.file, strict(as("BF16")), strict(as("F32")), rounded))
		add(m.name+"-f32-to-int8", update(m.file, strict(as("F32")), strict(int8s), same))
	}
	st := strict(as("F32"))
	add("ppocr-grown-columns-f32", update(ppocr, st, st, grown(-1, 100, ppocrHead...)))
	add("magika-grown-rows-f32", update(magika, st, st, grown(0, 43, "jax2tf_get_logits_/Const:0")))
	add("ppocr-f32-to-int8", update(ppocr, native, strict(int8s), same))
	add("ppocr-reorder-f16-flat", update(ppocr, bare(as("F16")), bare(as("F16")), reordered))
	add("alexandria-reorder-int16-flat", reorderFlat)
	out = append(out,
		Class{Name: "unrelated/random-after-model", Unrelated: true, build: func(s *Source, class string) (Update, error) {
			m, err := s.raw(magika)
			return Update{Old: m, New: newRandom(class).bytes(3 << 20), OldExt: ".onnx"}, err
		}},
		Class{Name: "unrelated/random-after-random", Unrelated: true, build: func(_ *Source, class string) (Update, error) {
			r := newRandom(class)
			return Update{Old: r.bytes(1 << 20), New: r.bytes(1 << 20)}, nil
		}},
		Class{Name: "unrelated/text-after-model", Unrelated: true, build: func(s *Source, class string) (Update, error) {
			m, err := s.raw(silero)
			return Update{Old: m, New: prose(newRandom(class), 2<<20), OldExt: ".onnx"}, err
		}},
		Class{Name: "unrelated/model-after-text", Unrelated: true, build: func(s *Source, class string) (Update, error) {
			m, err := s.raw(silero)
			return Update{Old: prose(newRandom(class), 2<<20), New: m, NewExt: ".onnx"}, err
		}},
		Class{Name: "unrelated/model-after-other-model", Unrelated: true, build: func(s *Source, _ string) (Update, error) {
			old, err := s.raw(magika)
			if err != nil {
				return Update{}, err
			}
			m, err := s.raw(silero)
			return Update{Old: old, New: m, OldExt: ".onnx", NewExt: ".onnx"}, err
		}},
		Class{Name: "unrelated/something-after-nothing", Unrelated: true, build: func(_ *Source, class string) (Update, error) {
			return Update{New: prose(newRandom(class), 64<<10)}, nil
		}},
	)
	return out
}

// reorderedNoisy trains a little on what was put in another order.
func reorderedNoisy(m *model, seed string) ([]tensor, error) {
	tensors, err := reordered(m, seed)
	if err != nil {
		return nil, err
	}
	return noise(tensors, 1e-4, seed), nil
}

// rounded returns the weights as they come back from bf16.
func rounded(m *model, _ string) ([]tensor, error) {
	return each(m.tensors, func(t *tensor) {
		for i, v := range t.data {
			t.data[i] = fromBrain(brain(v))
		}
	}), nil
}

// renamed gives every tensor a name that says nothing of the old one and sorts
// otherwise.
func renamed(dtype string) func(*model, []tensor) []array {
	return func(_ *model, t []tensor) []array {
		out := arrays(t, dtype)
		order := newRandom("renamed").perm(len(out))
		for i := range out {
			out[i].name = fmt.Sprintf("blocks.%03d.weight", order[i])
		}
		return out
	}
}

// reorderFlat puts the hidden neurons of a real int16 net without header in a
// new order: 768 rows of 1024 weights, 1024 biases, two rows of 1024 output
// weights.
func reorderFlat(s *Source, class string) (Update, error) {
	const hidden = 1024
	old, err := s.raw(alexandria)
	if err != nil {
		return Update{}, err
	}
	out := slices.Clone(old)
	perm := newRandom(class).perm(hidden)
	for row := range 768 + 1 + 2 {
		for i, p := range perm {
			v := binary.LittleEndian.Uint16(old[2*(row*hidden+p):])
			binary.LittleEndian.PutUint16(out[2*(row*hidden+i):], v)
		}
	}
	return Update{Old: old, New: out}, nil
}

// prose returns n bytes of invented words, the frequent ones short, in lines.
func prose(r random, n int) []byte {
	words := make([]string, 2000)
	for i := range words {
		var w strings.Builder
		for range 1 + r.below(2) + i/500 {
			w.WriteByte("bcdfghklmnprstvw"[r.below(16)])
			w.WriteByte("aeiou"[r.below(5)])
		}
		words[i] = w.String()
	}
	var out []byte
	for line := 0; len(out) < n; line++ {
		at := len(out)
		for len(out)-at < 72 {
			out = append(out, words[r.below(1+r.below(1+r.below(len(words))))]...)
			out = append(out, ' ')
		}
		out[len(out)-1] = '\n'
	}
	return out[:n]
}
