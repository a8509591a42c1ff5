//go:build unix

package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// New returns an engine whose sessions run in worker processes. They implement
// [runtime.Supervised].
func New(cfg Config) (modelrt.Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &engine{cfg: cfg, version: cfg.Info.Version}, nil
}

type engine struct {
	cfg Config

	mu      sync.Mutex
	version string // of the library, as the last worker said
}

// Info is that of the engine in the workers, and how tensors get there.
func (e *engine) Info() modelrt.Info {
	info := e.cfg.Info
	info.Worker = transport
	e.mu.Lock()
	defer e.mu.Unlock()
	info.Version = e.version
	return info
}

// Load starts a worker for the model file at path. When ctx ends first, the
// worker is killed. A worker that crashes while it loads gives an error that
// wraps ErrWorker and ErrLoad.
func (e *engine) Load(ctx context.Context, path string) (modelrt.Session, error) {
	if why := e.cfg.Info.Reason; why != "" {
		return nil, fmt.Errorf("%w: %s", modelrt.ErrNoRuntime, why)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: path %q is not absolute", modelrt.ErrLoad, path)
	}
	p, loaded, err := start(ctx, e.cfg, path)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.version = loaded.EngineVersion
	e.mu.Unlock()
	return newSession(e.cfg, path, p), nil
}
