package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
	"github.com/dunlin-mesh/dunlin/store"
)

// lockPatience is how long a command waits for another one to leave the home.
const lockPatience = 10 * time.Second

// env is what a command works with. It carries the context of the whole
// process, which kong cannot pass separately.
type env struct {
	context.Context //nolint:containedctx // kong calls Run with one bound value
	getenv          func(string) string
	stdin           io.Reader
	stdout, stderr  io.Writer
	dir             string
	json, verbose   bool
	worker          bool // models run in worker processes, whatever the configuration says

	local *node.Node // opened by client where no node runs
}

// client returns a client of the node that runs in the home, or else opens the
// home in this process.
func (e *env) client() (*api.Client, error) {
	if e.local != nil { // by an earlier call
		return api.Local(e.local.Handler()), nil
	}
	for deadline := time.Now().Add(lockPatience); ; {
		if c, ok := api.Dial(e, e.dir); ok {
			return c, nil
		}
		n, err := e.open(e.logger(), nil)
		if err == nil {
			e.local = n
			return api.Local(n.Handler()), nil
		}
		// Another command works here, or a node is just coming up.
		if err := e.again(err, store.ErrLocked, deadline); err != nil {
			return nil, err
		}
	}
}

// running returns a client of the node that runs in the home, which may still
// be coming up.
func (e *env) running(patience time.Duration) (*api.Client, error) {
	for deadline := time.Now().Add(patience); ; {
		if c, ok := api.Dial(e, e.dir); ok {
			return c, nil
		}
		if _, err := node.LoadConfig(e.dir); err != nil {
			return nil, api.Errorf(api.CodeUsage, "%v", err)
		}
		if err := e.again(node.ErrNotRunning, node.ErrNotRunning, deadline); err != nil {
			return nil, api.Errorf(api.CodeUnreachable, "%v", err)
		}
	}
}

// openToRun opens the home for a node, once other commands are done with it.
func (e *env) openToRun(log *slog.Logger, serving *node.ServeConfig) (*node.Node, error) {
	for deadline := time.Now().Add(lockPatience); ; {
		if _, ok := api.Dial(e, e.dir); ok {
			return nil, api.Errorf(api.CodeUnreachable, "a node runs in %s already: see `dunlin status`", e.dir)
		}
		n, err := e.open(log, serving)
		if err == nil {
			return n, nil
		}
		if err := e.again(err, store.ErrLocked, deadline); err != nil {
			return nil, err
		}
	}
}

// again returns nil, after a moment, if err is one that passes and the deadline
// is not reached; otherwise what to report.
func (e *env) again(err, passes error, deadline time.Time) error {
	if !errors.Is(err, passes) || time.Now().After(deadline) {
		return err
	}
	select {
	case <-e.Done():
		return e.Err()
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// open opens the home with the runtime that its configuration asks for.
func (e *env) open(log *slog.Logger, serving *node.ServeConfig) (*node.Node, error) {
	config, err := node.LoadConfig(e.dir)
	if errors.Is(err, node.ErrNoHome) {
		return nil, api.Errorf(api.CodeUsage, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	if e.worker {
		config.Engine.Worker = true
	}
	engine, prober, err := newRuntime(config, log)
	if err != nil {
		return nil, err
	}
	others, err := otherProviders(e.dir, config, engine, log)
	if err != nil {
		return nil, err
	}
	try := func(ctx context.Context) (profile.Profile, error) {
		return profile.Measure(ctx, profile.Config{
			Dir: node.CacheDir(e.dir), Engine: engine.Info(), Providers: config.Engine.Order(), NoSpeed: true,
		})
	}
	return node.Open(node.Options{Dir: e.dir, Engine: engine, Prober: prober, Others: others, TryProviders: try, Serve: serving, Logger: log})
}

// newRuntime makes the engine and the prober. A node that cannot run models is
// no failure: its engine says why.
func newRuntime(config node.Config, log *slog.Logger) (modelrt.Engine, modelrt.Prober, error) {
	engine, err := onnx.New(onnx.Config{LibraryPath: config.OnnxRuntime})
	switch {
	case config.NoRuntime:
		engine = modelrt.NoEngine(errors.New("no_runtime is set in config.json"))
	case errors.Is(err, modelrt.ErrNoRuntime):
		engine = modelrt.NoEngine(err)
	case err != nil:
		return nil, nil, err
	}
	if config.Engine.Worker && engine.Info().Reason == "" {
		if engine, err = inWorkers(engine, config, log); err != nil {
			return nil, nil, err
		}
	}
	// The child tries the very library that this process will use.
	prober, err := modelrt.NewProber(modelrt.ProberConfig{
		Env:     []string{"DUNLIN_ONNXRUNTIME=" + engine.Info().LibraryPath},
		Timeout: config.Activation.TrialTime(), Limits: limit.Limits{MemoryBytes: config.Activation.TrialMemoryBytes},
	})
	return engine, prober, err
}

// otherProviders makes an engine and a prober for each execution provider beside
// the CPU that the configuration names. They share the library of the first
// engine, since a process can open one; a cache for what they compile lies in
// the home.
func otherProviders(dir string, config node.Config, engine modelrt.Engine, log *slog.Logger) (map[modelrt.Provider]node.Runner, error) {
	if engine.Info().Reason != "" {
		return nil, nil
	}
	others := make(map[modelrt.Provider]node.Runner)
	for _, p := range config.Engine.Order() {
		if p == modelrt.CPU {
			continue
		}
		cache := node.CompiledDir(dir, p)
		other, err := onnx.New(onnx.Config{LibraryPath: engine.Info().LibraryPath, Provider: p, CacheDir: cache})
		if err == nil && config.Engine.Worker {
			other, err = inWorkers(other, config, log, "-provider", string(p), "-cache", cache)
		}
		if err != nil {
			return nil, err
		}
		prober, err := modelrt.NewProber(modelrt.ProberConfig{
			Provider: p, CacheDir: cache, Env: []string{"DUNLIN_ONNXRUNTIME=" + engine.Info().LibraryPath},
			Timeout: config.Activation.TrialTime(), Limits: limit.Limits{MemoryBytes: config.Activation.TrialMemoryBytes},
		})
		if err != nil {
			return nil, err
		}
		others[p] = node.Runner{Engine: other, Prober: prober}
	}
	return others, nil
}

func (e *env) logger() *slog.Logger {
	level := slog.LevelWarn
	if e.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// call is one call without progress.
func (e *env) call(name string, request, result any) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	return c.Call(e, name, request, result, nil)
}

// callLong is one call that shows how far it is.
func (e *env) callLong(name string, request, result any) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	bar := newBar(e.stderr)
	defer bar.finish()
	return c.Call(e, name, request, result, bar.show)
}

// print writes the answer: value as JSON where that was asked for, or else what
// human writes.
func (e *env) print(value any, human func(w io.Writer)) error {
	if !e.json {
		human(e.stdout)
		return nil
	}
	out := json.NewEncoder(e.stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(value); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (e *env) close() error {
	if e.local == nil {
		return nil
	}
	return e.local.Close()
}
