package chunker

import "github.com/dunlin-mesh/dunlin/manifest"

const onnxFormat = "onnx"

type externalTensor struct {
	tensor   manifest.Tensor
	location string
	at       int64
}

func recognise(*source) (*structure, error) { return nil, nil }
