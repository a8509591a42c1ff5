package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Exit codes of a probe's child.
const (
	probeOK        = 0 // the model was loaded
	probeRefused   = 1 // the engine refused it
	probeUsage     = 2 // wrong arguments; also what a Go panic gives
	probeNoRuntime = 3 // there is no engine
	probeProvider  = 4 // the execution provider cannot be used
)

// probeMaxBytes bounds the inputs of the child's run on zeros, all together.
const probeMaxBytes = 64 << 20

// ProbeMain is the whole program of a probe's child process. args is the path
// of one model file. It loads the model, then runs it once on zeros (dynamic
// dimensions are 1): a failure of that run is written to stderr but is no
// failure of the probe, because some models need real inputs; a crash is. The
// result is the process's exit code: 0 loaded, 1 refused, 2 wrong arguments,
// 3 no runtime, 4 an execution provider that cannot be used.
//
// The child runs with the limits of its parent; tighter ones (memory, time on
// the CPU) belong here when the activation state machine sets them.
func ProbeMain(ctx context.Context, engine Engine, args []string, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintf(stderr, "usage: %s PATH\n", ProbeArgument)
		return probeUsage
	}
	s, err := engine.Load(ctx, args[0])
	if err != nil {
		fmt.Fprintln(stderr, err)
		switch {
		case errors.Is(err, ErrNoRuntime):
			return probeNoRuntime
		case errors.Is(err, ErrProvider):
			return probeProvider
		}
		return probeRefused
	}
	if err := runOnZeros(ctx, s); err != nil {
		fmt.Fprintf(stderr, "note: a run on zeros failed, which some models do: %v\n", err)
	}
	if err := s.Close(); err != nil {
		fmt.Fprintln(stderr, err)
		return probeRefused
	}
	return probeOK
}

// runOnZeros runs s once on zeros.
func runOnZeros(ctx context.Context, s Session) error {
	inputs := make(map[string]Tensor)
	left := int64(probeMaxBytes)
	for _, p := range s.Signature().Inputs {
		shape := make([]int64, len(p.Shape))
		for i, n := range p.Shape {
			shape[i] = n
			if n < 0 {
				shape[i] = 1
			}
		}
		t, err := NewTensor(p.DType, shape, left)
		if err != nil {
			return fmt.Errorf("make input %s: %w", p.Name, err)
		}
		left -= int64(len(t.Data))
		inputs[p.Name] = t
	}
	_, err := s.Run(ctx, inputs)
	return err
}
