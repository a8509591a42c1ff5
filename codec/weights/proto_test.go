package weights

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/manifest"
)

func layout(t *testing.T, path string) ([]byte, *manifest.Layout) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := chunker.Layout(context.Background(), bytes.NewReader(data), int64(len(data)), filepath.Base(path), chunker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return data, l
}

type coder struct {
	models map[string]*Model
	c      *mix.Coder
}

func (k *coder) code(t *testing.T, class codec.Class, cols int, basis, data []byte) int {
	key := fmt.Sprint(class, basis != nil)
	if k.models[key] == nil {
		k.models[key] = NewModel(class, basis != nil)
	}
	m := k.models[key]
	at := k.c.Bytes()
	p := Measure(class, cols, basis, data)
	m.Begin(p, 0)
	m.Code(k.c, basis, nil, data)
	return k.c.Bytes() - at
}

func TestProto(t *testing.T) {
	dir := "/work/shared/corpus/"
	for _, pair := range [][2]string{
		{"silero-onnx/v4.0/silero_vad.onnx", "silero-onnx/v4.0-hotfix/silero_vad.onnx"},
		{"silero-onnx/v5.1/silero_vad.onnx", "silero-onnx/v6.0/silero_vad.onnx"},
		{"magika-onnx/3-v3_0a/model.onnx", "magika-onnx/4-v3_0b/model.onnx"},
	} {
		od, ol := layout(t, dir+pair[0])
		nd, nl := layout(t, dir+pair[1])
		enc := &coder{map[string]*Model{}, mix.NewEncoder(nil)}
		dec := &coder{map[string]*Model{}, nil}
		byName := map[string]manifest.Tensor{}
		for _, x := range ol.Tensors {
			byName[x.Name] = x
		}
		total, rest := 0, len(nd)
		for _, x := range nl.Tensors {
			class := codec.ClassOf(x.DType)
			if class == codec.Other {
				continue
			}
			data := nd[x.Offset : x.Offset+x.Length]
			rest -= len(data)
			var basis []byte
			o, ok := byName[x.Name]
			if ok && o.Length == x.Length && o.DType == x.DType {
				basis = od[o.Offset : o.Offset+o.Length]
			}
			if bytes.Equal(basis, data) {
				continue
			}
			cols := 0
			if len(x.Shape) > 1 {
				cols = 1
				for _, d := range x.Shape[1:] {
					cols *= int(d)
				}
			}
			try := func(basis []byte) int {
				e := &coder{map[string]*Model{}, mix.NewEncoder(nil)}
				return e.code(t, class, cols, basis, data)
			}
			with, without := 1<<40, try(nil)
			if basis != nil {
				with = try(basis)
			}
			if without < with {
				basis = nil
			}
			n := enc.code(t, class, cols, basis, data)
			total += n
			if testing.Verbose() && len(data) > 100000 {
				t.Logf("%-30.30s %s %v %d: with %d without %d: %d", x.Name, x.DType, x.Shape, len(data), with, without, n)
			}
		}
		out := enc.c.Finish()
		dec.c = mix.NewDecoder(out)
		t.Logf("%s: full %d weights to %d, rest %d", pair[1], len(nd), len(out), rest)
	}
}
