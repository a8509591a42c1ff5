package synth

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dunlin-mesh/dunlin/chunker"
)

// tensor is an array of numbers, row-major. Changes make new tensors and leave
// the old ones as they are.
type tensor struct {
	name   string
	shape  []int
	data   []float32
	offset int64 // in the model's file
}

// rowsCols returns the tensor as a matrix: the first axis, and all others.
func (t *tensor) rowsCols() (rows, cols int) {
	if len(t.shape) == 0 || len(t.data) == 0 {
		return 1, len(t.data)
	}
	return t.shape[0], len(t.data) / t.shape[0]
}

// rms returns the root mean square of the elements.
func (t *tensor) rms() float64 {
	var sum float64
	for _, v := range t.data {
		sum += float64(float64(v) * float64(v))
	}
	return math.Sqrt(sum / float64(len(t.data)))
}

// each returns tensors with new data, which f writes; f gets copies of the old.
func each(tensors []tensor, f func(t *tensor)) []tensor {
	out := slices.Clone(tensors)
	for i := range out {
		out[i].data = slices.Clone(out[i].data)
		out[i].shape = slices.Clone(out[i].shape)
		f(&out[i])
	}
	return out
}

// model is a real model's file and its f32 tensors, in order of offset.
type model struct {
	file    []byte
	ext     string
	tensors []tensor
	// inOut says that a matrix of rank 2 is multiplied from the right, so that
	// its output channels are columns.
	inOut  bool
	groups []group // hidden units that may change places together
}

// Source reads the corpus's models, each once. It is safe for concurrent use;
// what it holds is never changed.
type Source struct {
	dir    string
	mu     sync.Mutex
	models map[string]*model
}

// Open returns a source of the corpus in dir; nothing is read before a class
// asks for it.
func Open(dir string) *Source {
	return &Source{dir: dir, models: make(map[string]*model)}
}

// Models of the corpus by the names that classes use.
const (
	ppocr  = "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx"
	silero = "silero-onnx/v6.2/silero_vad.onnx"
	magika = "magika-onnx/6-v3_2/model.onnx"
	// alexandria is an int16 net without header.
	alexandria = "alexandria-1579k/05-2023-11-04/nn.net"
)

// raw returns a file of the corpus.
func (s *Source) raw(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(name)))
}

func (s *Source) model(name string) (*model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.models[name]; m != nil {
		return m, nil
	}
	file, err := s.raw(name)
	if err != nil {
		return nil, err
	}
	m := &model{file: file, ext: filepath.Ext(name), inOut: name != silero}
	switch name {
	case ppocr:
		m.groups = ppocrGroups
	case silero:
		m.groups = sileroGroups()
	case magika:
		m.groups = magikaGroups
	}
	if m.tensors, err = tensorsOf(file, name); err != nil {
		return nil, err
	}
	s.models[name] = m
	return m, nil
}

// tensorsOf returns the f32 tensors of two and more elements.
func tensorsOf(file []byte, name string) ([]tensor, error) {
	layout, err := chunker.Layout(context.Background(), bytes.NewReader(file), int64(len(file)), name, chunker.Options{})
	if err != nil {
		return nil, fmt.Errorf("tensors of %s: %w", name, err)
	}
	var tensors []tensor
	for _, t := range layout.Tensors {
		if t.DType != "f32" || t.Length < 8 {
			continue
		}
		out := tensor{name: t.Name, offset: int64(t.Offset), data: make([]float32, t.Length/4)}
		for _, n := range t.Shape {
			out.shape = append(out.shape, int(n))
		}
		for i := range out.data {
			out.data[i] = math.Float32frombits(binary.LittleEndian.Uint32(file[t.Offset+4*uint64(i):]))
		}
		tensors = append(tensors, out)
	}
	return tensors, nil
}

// with returns the model's own file with the tensors' bytes in place.
func (m *model) with(tensors []tensor) []byte {
	file := slices.Clone(m.file)
	for i := range tensors {
		at := file[tensors[i].offset:tensors[i].offset]
		for _, v := range tensors[i].data {
			at = binary.LittleEndian.AppendUint32(at, math.Float32bits(v))
		}
	}
	return file
}
