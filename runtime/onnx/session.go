//go:build cgo && (linux || darwin)

package onnx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// session is one loaded model.
type session struct {
	sig    modelrt.Signature
	shapes *shapeMemory

	// mu is held for reading by every Run, for writing by Close.
	mu sync.RWMutex
	s  *ort.DynamicAdvancedSession // nil once closed
}

func newSession(s *ort.DynamicAdvancedSession, sig modelrt.Signature) *session {
	return &session{s: s, sig: sig, shapes: newShapeMemory(sig.Outputs)}
}

func (s *session) Signature() modelrt.Signature { return s.sig }

// Close waits for runs under way and frees the model.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.s == nil {
		return nil
	}
	err := s.s.Destroy()
	s.s = nil
	return err
}

func (s *session) Run(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	if err := s.sig.CheckInputs(inputs); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.s == nil {
		return nil, fmt.Errorf("run: session %w", modelrt.ErrClosed)
	}
	// The library keeps pointers to the inputs' bytes between two calls, so
	// they must not move until the run is over.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	in, err := makeInputs(s.sig.Inputs, inputs, &pinner)
	defer destroy(in)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, in, s.shapes.key(s.sig.Inputs, inputs), &pinner)
}

// run runs the model on in, again while it teaches something about the shapes
// of its outputs, see shapeMemory.
func (s *session) run(ctx context.Context, in []ort.Value, key string, pinner *runtime.Pinner) (map[string]modelrt.Tensor, error) {
	plan := s.shapes.recall(key)
	for range plan.maxAttempts() {
		out, err := plan.makeOutputs(pinner)
		if err != nil {
			destroy(out)
			return nil, fmt.Errorf("%w: %w", modelrt.ErrRun, err)
		}
		err = s.call(ctx, in, out)
		if err == nil {
			s.shapes.remember(key, plan)
			defer destroy(out)
			return takeOutputs(s.sig.Outputs, out)
		}
		learnt := plan.learn(err, out)
		destroy(out)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !learnt:
			return nil, fmt.Errorf("%w: %w", modelrt.ErrRun, err)
		}
	}
	return nil, fmt.Errorf("%w: its outputs have other shapes at every run", modelrt.ErrRun)
}

// call runs the model once, and tells the library to stop when ctx ends.
func (s *session) call(ctx context.Context, in, out []ort.Value) (err error) {
	if ctx.Done() == nil {
		return s.s.Run(in, out)
	}
	opts, err := ort.NewRunOptions()
	if err != nil {
		return err
	}
	stopped := make(chan error, 1)
	release := context.AfterFunc(ctx, func() { stopped <- opts.Terminate() })
	err = s.s.RunWithOptions(in, out, opts)
	if !release() {
		err = errors.Join(err, <-stopped)
	}
	return errors.Join(err, opts.Destroy())
}

// destroy frees what makeInputs and makeOutputs made.
func destroy(values []ort.Value) {
	for _, v := range values {
		if !isNil(v) {
			// Releasing a value that exists cannot fail.
			_ = v.Destroy()
		}
	}
}
