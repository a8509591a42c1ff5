package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
)

// Prober tries a model where a crash does no harm.
type Prober interface {
	// Probe loads the model file at path in another process and returns nil if
	// that worked. Errors wrap ErrLoad (the engine refused the model), ErrProbe
	// (the process crashed, was killed or took too long), ErrNoRuntime or
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
}

// New reads the state file and returns an activator that serves nothing yet:
// call Restore. Errors wrap ErrState where the file is unreadable.
func New(cfg Config) (*Activator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Activator{cfg: cfg}, nil
}

// Restore brings back what was active when the process last ended. For each
// recorded model it asks resolve for a candidate (where the files lie now, and
// how to verify them), verifies, probes and loads it; where that fails it does
// the same with the previous release. Models are restored one after another;
// the error joins those that could not be, the others serve. A release that
// ended the process three times while loading is not tried again.
func (a *Activator) Restore(ctx context.Context, resolve func(ctx context.Context, r Release) (Candidate, error)) error {
	return errors.ErrUnsupported
}

// Activate makes c the active release of its model, as the package comment
// tells. It returns nil at once where c is active already. Activations of all
// models take turns. On any error the active release keeps serving; the
// attempt is recorded unless ctx ended it. Errors wrap ErrCandidate, ErrVerify,
// ErrProbe, ErrLoad, ErrNoRuntime, ErrState, ErrClosed or ctx.Err().
func (a *Activator) Activate(ctx context.Context, c Candidate) error {
	return errors.ErrUnsupported
}

// Infer runs the model's active release on inputs, and tells which release
// that was. Errors wrap ErrNotActive, ErrInput, ErrRun, ErrClosed or ctx.Err().
// It does not wait for activations.
func (a *Activator) Infer(ctx context.Context, model string, inputs map[string]Tensor) (map[string]Tensor, ActiveInfo, error) {
	return nil, ActiveInfo{}, errors.ErrUnsupported
}

// Active returns the release that serves the model, if one does.
func (a *Activator) Active(model string) (ActiveInfo, bool) {
	return ActiveInfo{}, false
}

// Status returns what is known about every model, sorted by name. The caller
// may keep and change it.
func (a *Activator) Status() []ModelStatus {
	return nil
}

// Deactivate stops serving the model and forgets its active and previous
// release; failed attempts stay recorded. Requests in flight finish. It waits
// for an activation under way, or for ctx. A model that is not known is no
// error.
func (a *Activator) Deactivate(ctx context.Context, model string) error {
	return errors.ErrUnsupported
}

// Close stops serving, waits for the activation under way (which it cancels)
// and for requests in flight, and closes every session. What was active stays
// recorded for the next start. A second call does nothing.
func (a *Activator) Close() error {
	return nil
}
