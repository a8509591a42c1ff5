package node

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
)

func TestPicturesBecomeInputs(t *testing.T) {
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 9, 5))); err != nil {
		t.Fatal(err)
	}
	sig := modelrt.Signature{
		Inputs:   []modelrt.Port{{Name: "x", DType: modelrt.U8, Shape: []int64{-1, 4, 4, 3}}, {Name: "k", DType: modelrt.I64}},
		Metadata: map[string]string{"Image.BitmapPixelFormat": "Rgb8"},
	}
	elements := func(files ...[]byte) serve.Input {
		return serve.Input{Tensor: modelrt.Tensor{DType: modelrt.STRING, Shape: []int64{int64(len(files))}}, Bytes: files}
	}
	k := modelrt.Tensor{DType: modelrt.I64, Data: make([]byte, 8)}
	in := map[string]serve.Input{"x": elements(file.Bytes(), file.Bytes()), "k": {Tensor: k}}
	got, err := newPictures().tensors(t.Context(), in, sig)
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.CheckInputs(got); err != nil || got["x"].Shape[0] != 2 {
		t.Errorf("shape %v: %v", got["x"].Shape, err)
	}
	for name, bad := range map[string]map[string]serve.Input{
		"no picture": {"x": elements([]byte("text"))},
		"no input":   {"y": elements(file.Bytes())},
		"no shape":   {"k": elements(file.Bytes())},
	} {
		if _, err := newPictures().tensors(t.Context(), bad, sig); !errors.Is(err, modelrt.ErrInput) {
			t.Errorf("%s: %v, want ErrInput", name, err)
		}
	}
	sig.Metadata = nil
	if _, err := newPictures().tensors(t.Context(), in, sig); !errors.Is(err, modelrt.ErrInput) {
		t.Errorf("a model that says nothing of pictures: %v, want ErrInput", err)
	}
}
