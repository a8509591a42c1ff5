package synth

import "slices"

// Update is two states of a model, as complete files.
type Update struct {
	Old, New       []byte
	OldExt, NewExt string // such as ".onnx", "" for headerless arrays
	// Factors, if not nil, is a safetensors file with the f32 factors of a
	// low-rank update that was merged into New, as its publisher would supply
	// it: for each tensor T, T.lora_B (rows by rank) and T.lora_A (rank by
	// columns), so that new = old + B·A, the sum over the rank taken in f32,
	// first to last, and added to the old weight in f32.
	Factors []byte
}

// Class is a kind of update.
type Class struct {
	// Name is "readme/..." for the classes of the corpus README's table,
	// "twin/..." for those in another file format, "unseen/..." for others.
	Name string
	// Full, Best and Reference are what the README has for the class, in
	// bytes: size of the new file, smallest delta of a general tool, delta of
	// the reference coder. 0 where it has nothing. They are whole kB there,
	// but for the 180 bytes.
	Full, Best, Reference int64
	// Limit is the largest share of Full that the delta may be, beside
	// Reference; 0 for none.
	Limit float64
	// Unrelated says that the files have nothing in common, so that the delta
	// is to be compared with the new file compressed alone.
	Unrelated bool

	build func(s *Source, name string) (Update, error)
}

// Make makes the update from the corpus; the caller owns what it returns. It
// fails where the corpus does. It may be called concurrently.
func (c Class) Make(s *Source) (Update, error) {
	return c.build(s, c.Name)
}

// Classes returns every class, the README's first and in its order. Names are
// unique.
func Classes() []Class {
	return slices.Concat(readme(), twins(), unseen())
}

// change makes new tensors of a model's.
type change func(m *model, seed string) ([]tensor, error)

func noisy(ratio float64) change {
	return func(m *model, seed string) ([]tensor, error) { return noise(m.tensors, ratio, seed), nil }
}

func scattered(m *model, seed string) ([]tensor, error) {
	return scatter(m.tensors, 100, seed), nil
}

func pruned(percent int) change {
	return func(m *model, _ string) ([]tensor, error) { return prune(m.tensors, percent), nil }
}

func reordered(m *model, seed string) ([]tensor, error) {
	return reorder(m.tensors, m.groups, seed)
}

func headed(names ...string) change {
	return func(m *model, seed string) ([]tensor, error) { return head(m.tensors, 1e-2, seed, names...), nil }
}

func merged(wide bool) change {
	return func(m *model, seed string) ([]tensor, error) {
		out, _ := adapt(m.tensors, 1e-2, wide, seed)
		return out, nil
	}
}

func grown(axis, n int, names ...string) change {
	return func(m *model, seed string) ([]tensor, error) {
		return grow(m.tensors, axis, n, seed, names...), nil
	}
}

func same(m *model, _ string) ([]tensor, error) { return m.tensors, nil }

// format writes tensors of a model as a file.
type format struct {
	ext   string
	write func(m *model, tensors []tensor) ([]byte, error)
}

// native is the format of the model's own file, with its tensors as f32.
var native = format{".onnx", func(m *model, tensors []tensor) ([]byte, error) { return m.with(tensors), nil }}

// bare writes arrays without a header, strict as safetensors.
func bare(encode func(*model, []tensor) []array) format {
	return format{"", func(m *model, t []tensor) ([]byte, error) { return flat(encode(m, t)), nil }}
}

func strict(encode func(*model, []tensor) []array) format {
	return format{".safetensors", func(m *model, t []tensor) ([]byte, error) { return safetensors(encode(m, t)), nil }}
}

func block(dtype string) format {
	return format{".gguf", func(_ *model, t []tensor) ([]byte, error) { return gguf(ggufArrays(t, dtype)), nil }}
}

func zipped(method uint16) format {
	return format{".npz", func(_ *model, t []tensor) ([]byte, error) { return npz(arrays(t, "F32"), method) }}
}

// as encodes as one of the float types.
func as(dtype string) func(*model, []tensor) []array {
	return func(_ *model, t []tensor) []array { return arrays(t, dtype) }
}

func int8s(m *model, t []tensor) []array { return quantize8(t, m.inOut) }

func int16s(_ *model, t []tensor) []array { return quantize16(t) }

// update is the general class: a model, a change, and the formats before and
// after it. The change's seed is that of the class without its twin's prefix,
// so that twins hold the same weights.
func update(name string, from, to format, change change) func(*Source, string) (Update, error) {
	return func(s *Source, class string) (Update, error) {
		m, err := s.model(name)
		if err != nil {
			return Update{}, err
		}
		tensors, err := change(m, seedOf(class))
		if err != nil {
			return Update{}, err
		}
		u := Update{OldExt: from.ext, NewExt: to.ext}
		if u.Old, err = from.write(m, m.tensors); err != nil {
			return Update{}, err
		}
		if u.New, err = to.write(m, tensors); err != nil {
			return Update{}, err
		}
		return u, nil
	}
}
