package batch

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Engine is an engine whose sessions queue, bound and batch their requests. It
// is safe for concurrent use.
type Engine struct {
	modelrt.Engine
	cfg    Config
	budget *budget
}

// NewEngine wraps inner, which keeps belonging to the caller.
func NewEngine(inner modelrt.Engine, cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Engine{Engine: inner, cfg: cfg, budget: &budget{max: cfg.MaxBytes}}, nil
}

// Load loads the model with the inner engine. Besides the errors of that
// engine's sessions, Run of the session fails with modelrt.ErrOverloaded.
func (e *Engine) Load(ctx context.Context, path string) (modelrt.Session, error) {
	inner, err := e.Engine.Load(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &session{
		inner: inner, cfg: e.cfg, budget: e.budget,
		log: e.cfg.Logger.With(slog.String("file", filepath.Base(path))),
	}
	if e.cfg.MaxBatch == 1 || !batchable(inner.Signature()) {
		s.verdict = never
	}
	return s, nil
}

// batchable tells whether the first dimension of every input and every output
// is of any size, and they are of types that can be joined.
func batchable(sig modelrt.Signature) bool {
	for _, ports := range [][]modelrt.Port{sig.Inputs, sig.Outputs} {
		for _, p := range ports {
			if len(p.Shape) == 0 || p.Shape[0] >= 0 || p.DType.Size() == 0 {
				return false
			}
		}
	}
	return true
}

// budget counts bytes in flight.
type budget struct {
	max  int64
	used atomic.Int64
}

// take counts n bytes in, unless that were too many.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }
