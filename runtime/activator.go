package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// Prober tries a model where a crash does no harm.
type Prober interface {
	// Probe loads the model file at path in another process and returns nil if
	// that worked. Errors wrap ErrLoad (the engine refused the model), ErrProbe
	// (the process crashed, was killed or took too long), ErrProvider, ErrNoRuntime or
	// ctx.Err(). When it returns, the process is gone.
	Probe(ctx context.Context, path string) error
}

// Config is all an [Activator] needs. Every field is required.
type Config struct {
	// StateDir is the folder of state.json; it is made where it is missing. No
	// two processes may use one folder at the same time.
	StateDir string
	// Engine loads and runs; NoEngine where the machine cannot.
	Engine Engine
	// Prober tries a model before Engine loads it; NewProber gives the real one.
	Prober Prober
	// Logger receives one line per activation and per failure.
	Logger *slog.Logger
}

// Validate reports everything that is missing.
func (c Config) Validate() error {
	var errs []error
	if !filepath.IsAbs(c.StateDir) {
		errs = append(errs, fmt.Errorf("state folder %q is not an absolute path", c.StateDir))
	}
	if c.Engine == nil {
		errs = append(errs, errors.New("no engine (NoEngine says that there is none)"))
	}
	if c.Prober == nil {
		errs = append(errs, errors.New("no prober"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("no logger"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("runtime config: %w", err)
	}
	return nil
}

// Activator keeps one active session per model. All methods are safe for
// concurrent use.
type Activator struct {
	cfg Config
	// write replaces the state file; a field so that tests can fail it.
	write func(dir string, models map[string]modelRecord) error
	// turn holds a value while someone activates, restores or deactivates.
	turn chan struct{}

	mu       sync.RWMutex
	models   map[string]modelRecord // what state.json holds, or will
	serving  map[string]*served
	draining map[string]*served // the session that served before, until closed
	pending  *Release           // of the activation under way
	stage    Stage
	cancel   context.CancelFunc // of the holder of turn
	closed   bool
}

// New reads the state file and returns an activator that serves nothing yet:
// call Restore. Errors wrap ErrState where the file is unreadable.
func New(cfg Config) (*Activator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if _, err := durable.RemoveTemporary(cfg.StateDir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	models, err := readState(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	a := &Activator{
		cfg:      cfg,
		write:    writeState,
		turn:     make(chan struct{}, 1),
		models:   models,
		serving:  make(map[string]*served),
		draining: make(map[string]*served),
	}
	for model, r := range models {
		if p := r.Pending; p != nil && !p.Restore {
			models[model] = a.crashed(r)
		}
	}
	return a, nil
}

// crashed returns r, whose pending candidate was being loaded when the process
// ended, with that as a failed attempt.
func (a *Activator) crashed(r modelRecord) modelRecord {
	p := r.Pending
	r = r.clone()
	r.Pending = nil
	r.fail(Attempt{Release: p.Release, Stage: p.Stage, At: time.Now().UTC(), Reason: "the process ended while loading it", Crashes: 1})
	a.cfg.Logger.Warn("process had ended during an activation", releaseAttrs(p.Release), slog.String("stage", string(p.Stage)))
	return r
}

// Infer runs the model's active release on inputs, and tells which release
// that was. Errors wrap ErrNotActive, ErrInput, ErrRun, ErrClosed or ctx.Err().
// It does not wait for activations.
func (a *Activator) Infer(ctx context.Context, model string, inputs map[string]Tensor) (map[string]Tensor, ActiveInfo, error) {
	s, err := a.acquire(model)
	if err != nil {
		return nil, ActiveInfo{}, err
	}
	defer s.release()
	outputs, err := s.session.Run(ctx, inputs)
	if err != nil {
		return nil, s.info, fmt.Errorf("infer %s %s: %w", model, s.info.Version, err)
	}
	return outputs, s.info, nil
}

func (a *Activator) acquire(model string) (*served, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.closed {
		return nil, fmt.Errorf("infer %s: activator %w", model, ErrClosed)
	}
	s, ok := a.serving[model]
	if !ok {
		return nil, fmt.Errorf("infer %s: %w", model, a.notActive(model))
	}
	s.acquire()
	return s, nil
}

// notActive says why nothing serves the model. The caller holds mu.
func (a *Activator) notActive(model string) error {
	if why := a.cfg.Engine.Info().Reason; why != "" {
		return fmt.Errorf("%w: %w", ErrNotActive, NoRuntime(errors.New(why)))
	}
	if failed := a.models[model].Failed; len(failed) > 0 {
		last := failed[len(failed)-1]
		return fmt.Errorf("%w: version %s failed while %s: %s", ErrNotActive, last.Version, last.Stage, last.Reason)
	}
	return ErrNotActive
}

// Active returns the release that serves the model, if one does.
func (a *Activator) Active(model string) (ActiveInfo, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	s, ok := a.serving[model]
	if !ok {
		return ActiveInfo{}, false
	}
	return s.info, true
}

// Status returns what is known about every model, sorted by name. The caller
// may keep and change it, save for signatures.
func (a *Activator) Status() []ModelStatus {
	a.mu.RLock()
	defer a.mu.RUnlock()
	all := make(map[string]ModelStatus, len(a.models))
	for model, r := range a.models {
		all[model] = ModelStatus{
			Model: model, Recorded: copied(r.Active), Previous: copied(r.Previous), Failed: slices.Clone(r.Failed),
		}
	}
	if p := a.pending; p != nil {
		st := all[p.Model]
		st.Model, st.Pending, st.PendingStage = p.Model, copied(p), a.stage
		all[p.Model] = st
	}
	for model, s := range a.serving {
		st := all[model]
		info := s.info
		st.Model, st.Active, st.Worker = model, &info, workerOf(s.session)
		all[model] = st
	}
	return slices.SortedFunc(maps.Values(all), func(x, y ModelStatus) int { return strings.Compare(x.Model, y.Model) })
}

func copied(r *Release) *Release {
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

// Close stops serving, waits for the activation under way (which it cancels)
// and for requests in flight, and closes every session. What was active stays
// recorded for the next start. A second call does nothing.
func (a *Activator) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	if a.cancel != nil {
		a.cancel()
	}
	a.mu.Unlock()

	a.turn <- struct{}{} // for ever: nobody begins after closed is set
	a.mu.Lock()
	serving, draining := a.serving, a.draining
	a.serving, a.draining = map[string]*served{}, map[string]*served{}
	a.mu.Unlock()
	for _, s := range serving {
		s.retire()
	}
	var errs []error
	for _, sessions := range []map[string]*served{serving, draining} {
		for model, s := range sessions {
			if err := s.wait(context.Background()); err != nil {
				errs = append(errs, fmt.Errorf("close session of %s: %w", model, err))
			}
		}
	}
	return errors.Join(errs...)
}
