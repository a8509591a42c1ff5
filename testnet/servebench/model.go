package main

import (
	"encoding/binary"
	"math"
	"path/filepath"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// model is one that is measured, with one request to it.
type model struct {
	name   string // "publisher/name"
	path   string
	inputs map[string]modelrt.Tensor
	python bool // FastAPI serves it too
	large  bool // its ratio to calling directly is promised, otherwise the overhead is
}

// models lists those of the corpus that are measured.
func models(corpus string) []model {
	return []model{
		{
			name: "acme/vad", path: silero(corpus, "v6.2"), python: true,
			inputs: map[string]modelrt.Tensor{
				"input": floats(0.1, 1, 512), "state": floats(0, 2, 1, 128),
				"sr": {DType: modelrt.I64, Data: binary.LittleEndian.AppendUint64(nil, 16000)},
			},
		},
		{
			name: "acme/ocr", path: filepath.Join(corpus, "ppocrv4-rec", "npm-1.4.2", "ch_PP-OCRv4_rec_infer.onnx"), large: true,
			inputs: map[string]modelrt.Tensor{"x": floats(0.5, 1, 3, 48, 320)},
		},
	}
}

func silero(corpus, version string) string {
	return filepath.Join(corpus, "silero-onnx", version, "silero_vad.onnx")
}

// floats returns a tensor of a wave of the given height.
func floats(height float64, shape ...int64) modelrt.Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	data := make([]byte, 0, 4*n)
	for i := range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(height*math.Sin(float64(i)/7))))
	}
	return modelrt.Tensor{DType: modelrt.F32, Shape: shape, Data: data}
}
