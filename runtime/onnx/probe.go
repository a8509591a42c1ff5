package onnx

import (
	"context"
	"io"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// ProbeMain is the whole program of a probe's child process, see
// runtime.ProbeMain: args are the arguments after "runtime-probe", and the
// result is the exit code.
func ProbeMain(ctx context.Context, args []string, stderr io.Writer) int {
	engine, err := New(Config{IntraOpThreads: 1})
	if err != nil {
		engine = modelrt.NoEngine(err)
	}
	return modelrt.ProbeMain(ctx, engine, args, stderr)
}
