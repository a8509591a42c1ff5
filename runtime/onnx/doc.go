// Package onnx is the engine that runs models: ONNX Runtime, through
// github.com/yalue/onnxruntime_go. It is the only package of Dunlin that
// needs cgo; built with CGO_ENABLED=0, or for a system that the binding does
// not know, New returns an error that wraps runtime.ErrNoRuntime.
//
// # The library
//
// ONNX Runtime is a shared library, opened when the first model is loaded, so
// that a node which only carries chunks never pays for it. New looks for it in
// this order:
//
//  1. Config.LibraryPath, then the environment variable DUNLIN_ONNXRUNTIME:
//     the operator's own choice, any version from 1.24 on;
//  2. ../lib/dunlin/ and lib/dunlin/ beside the executable (an installed
//     Dunlin), then ort/VERSION/OS-ARCH/ beside it (a checkout after
//     `make setup`): these must be the pinned library, bit for bit.
//
// What was found, its version and its SHA-256 are in Engine.Info.
//
// # One environment per process
//
// ONNX Runtime, and the binding even more, keep one environment per process.
// This package creates it once, at the first Load of any engine, and never
// destroys it: sessions of all engines share it, and unloading a library whose
// threads have run is not safe. A second engine with another library in the
// same process is refused. That is the one piece of state this package holds.
//
// # Execution providers
//
// An engine loads with the one provider of its Config. Engines of several
// providers can live in one process if they share the library, and a library has
// the providers that it was built with: the pinned one only CPU, the one of
// ortlib.OpenVINO also OpenVINO. So a node uses one library, and probes of
// another run in a child process. A provider that the library lacks, or that
// finds no device, driver or library of its own, is an error that wraps
// runtime.ErrProvider and says what is missing; there is no silent fallback to
// the CPU. Nodes of a graph that a working provider does not take run on the
// CPU, which is how ONNX Runtime divides a graph.
//
// # Tensors
//
// All numeric types and bool, of any rank; float16 and bfloat16 except
// scalars, which the binding cannot make. Strings, sequences, maps and sparse
// tensors are refused when the model is loaded. Inputs are handed to the
// library without a copy; outputs are copied once.
//
// # Cancelling
//
// When the context of a Run ends, the library is told to stop and does so
// before its next operator: one long operator is finished first. A Load cannot
// be stopped.
package onnx
