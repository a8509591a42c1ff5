package runtime

import (
	"context"
	"encoding/json"
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

// Config is all an [Activator] needs. The first four fields are required.
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
	// Checker runs golden sets; without one, candidates must not have any.
	Checker Checker
	// WarmRuns is how often a release is run before requests come to it, 0 to 100;
	// 0 for not at all.
	WarmRuns int
	// Soak says how an active release is watched before it is committed; the zero
	// value commits at once.
	Soak Soak
	// Hooks tell other programs; nil for none.
	Hooks Hooks
	// UnloadFirst has the active release unloaded before the new one is tried: a
	// declared outage, for machines without memory for two. Without it that is
	// done where AvailableMemory says that there is too little.
	UnloadFirst bool
	// AvailableMemory returns how many bytes this machine could still use, false
	// where it cannot tell. Nil: it cannot.
	AvailableMemory func() (uint64, bool)
	// Profile describes this machine in evidence, as JSON; nil for nothing.
	Profile func() json.RawMessage
}

// Hooks tell programs outside which release is active.
type Hooks interface {
	// Matches says whether anything is to be told about the model.
	Matches(model string) bool
	// Switch tells that to takes the place of from, which is nil where there was
	// none. An error is a failed activation, and Switch is called again the other
	// way round. It may be called again with what it was told already.
	Switch(ctx context.Context, from, to *Release) error
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
	if c.WarmRuns < 0 || c.WarmRuns > 100 {
		errs = append(errs, fmt.Errorf("%d warm-up runs, must be 0 to 100", c.WarmRuns))
	}
	errs = append(errs, c.Soak.Validate())
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
	cancel   context.CancelFunc   // of the holder of turn
	outages  map[string]time.Time // models without a session while one is replaced
	closed   bool

	trouble chan struct{} // buffered: a soak has begun, or does badly
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
		outages:  make(map[string]time.Time),
		trouble:  make(chan struct{}, 1),
	}
	blamed := false
	for _, r := range models {
		blamed = blamed || (r.Pending != nil && r.Pending.dangerous())
	}
	for model, r := range models {
		models[model] = a.interrupted(r, blamed)
	}
	return a, nil
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
	start := time.Now()
	outputs, err := s.session.Run(ctx, inputs)
	if s.observe(time.Since(start), outputs, err) {
		a.troubled()
	}
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
	if _, ok := a.outages[model]; ok {
		return fmt.Errorf("%w: %w", ErrNotActive, ErrUnavailable)
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
		if soak := a.models[model].Soak; soak != nil {
			st.Soak = s.soakStatus(soak.TriesLeft)
		}
		all[model] = st
	}
	for model, since := range a.outages {
		st := all[model]
		st.Model, st.Outage = model, &since
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
	paused := a.pauseSoaks()
	a.mu.Lock()
	serving, draining := a.serving, a.draining
	a.serving, a.draining = map[string]*served{}, map[string]*served{}
	a.mu.Unlock()
	for _, s := range serving {
		s.retire()
	}
	errs := []error{paused}
	for _, sessions := range []map[string]*served{serving, draining} {
		for model, s := range sessions {
			if err := s.wait(context.Background()); err != nil {
				errs = append(errs, fmt.Errorf("close session of %s: %w", model, err))
			}
		}
	}
	return errors.Join(errs...)
}
