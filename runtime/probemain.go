package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Exit codes of a probe's child.
const (
	probeOK        = 0 // the model was loaded, and does what its golden set says
	probeRefused   = 1 // the engine refused it
	probeUsage     = 2 // wrong arguments; also what a Go panic gives
	probeNoRuntime = 3 // there is no engine
	probeProvider  = 4 // the execution provider cannot be used
	probeGolden    = 5 // its golden set failed
	probeRun       = 6 // it failed while running its golden set
)

// probeMaxBytes bounds the inputs of a run on zeros, all together.
const probeMaxBytes = 64 << 20

// ProbeMain is the whole program of a probe's child process. args is the path
// of one model file and, where it has one, of the folder of its golden set,
// which checker runs. Without a golden set the model is run once on zeros
// (dynamic dimensions are 1): a failure of that run is written to stderr but is
// no failure of the probe, because some models need real inputs; a crash is. A
// [Report] is written to stdout. The result is the process's exit code: 0 all
// is well, 1 refused, 2 wrong arguments, 3 no runtime, 4 an execution provider
// that cannot be used, 5 a golden set that failed, 6 a model that failed while
// running it.
//
// Limits of memory and time are the parent's business.
func ProbeMain(ctx context.Context, engine Engine, checker Checker, args []string, stdout, stderr io.Writer) int {
	if len(args) < 1 || len(args) > 2 {
		fmt.Fprintf(stderr, "usage: %s PATH [GOLDEN]\n", ProbeArgument)
		return probeUsage
	}
	t := Trial{Path: args[0]}
	if len(args) == 2 {
		t.Golden = args[1]
	}
	report, err := try(ctx, engine, checker, t, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	text, encoding := json.Marshal(report)
	if encoding == nil {
		_, encoding = stdout.Write(text)
	}
	if encoding != nil {
		fmt.Fprintln(stderr, encoding)
	}
	switch {
	case err == nil:
		return probeOK
	case errors.Is(err, ErrNoRuntime):
		return probeNoRuntime
	case errors.Is(err, ErrProvider):
		return probeProvider
	case errors.Is(err, ErrGolden):
		return probeGolden
	case errors.Is(err, ErrRun):
		return probeRun
	}
	return probeRefused
}

// zeros makes inputs of zeros for a model; sizes that are only known when
// running are 1.
func zeros(sig Signature) (map[string]Tensor, error) {
	inputs := make(map[string]Tensor)
	left := int64(probeMaxBytes)
	for _, p := range sig.Inputs {
		shape := make([]int64, len(p.Shape))
		for i, n := range p.Shape {
			shape[i] = n
			if n < 0 {
				shape[i] = 1
			}
		}
		t, err := NewTensor(p.DType, shape, left)
		if err != nil {
			return nil, fmt.Errorf("make input %s: %w", p.Name, err)
		}
		left -= int64(len(t.Data))
		inputs[p.Name] = t
	}
	return inputs, nil
}

// runOnZeros runs s once on zeros.
func runOnZeros(ctx context.Context, s Session) error {
	inputs, err := zeros(s.Signature())
	if err == nil {
		_, err = s.Run(ctx, inputs)
	}
	return err
}
