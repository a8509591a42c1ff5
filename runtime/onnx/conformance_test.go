//go:build cgo && (linux || darwin)

package onnx

import (
	"testing"

	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
)

func TestEngineConforms(t *testing.T) { enginetest.Run(t, onnxtest.Subject(t, newEngine(t))) }
