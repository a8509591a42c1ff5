package runtime

import (
	"context"
	"fmt"
)

// external is the session of a model that another program runs.
type external struct{}

// Signature implements Session: it is not known.
func (external) Signature() Signature { return Signature{} }

// Run implements Session: ask the other program.
func (external) Run(context.Context, map[string]Tensor) (map[string]Tensor, error) {
	return nil, fmt.Errorf("%w here: another program runs it, and was told of this release", ErrNotActive)
}

// Close implements Session.
func (external) Close() error { return nil }

// tell runs the hooks for c in place of what is recorded as active. From before
// they run until their outcome is recorded, the state file says that other
// programs may have been told.
func (a *Activator) tell(ctx context.Context, c Candidate) error {
	if a.cfg.Hooks == nil || !a.cfg.Hooks.Matches(c.Model) {
		return nil
	}
	if err := a.update(c.Model, func(r *modelRecord) { r.Untold = true }); err != nil {
		return err
	}
	if err := a.cfg.Hooks.Switch(ctx, a.recorded(c.Model), &c.Release); err != nil {
		return fmt.Errorf("%w: %w%s", ErrHook, err, suffix(a.tellBack(ctx, c)))
	}
	return nil
}

// tellBack runs the hooks for what is recorded as active in place of c, of which
// they were told.
func (a *Activator) tellBack(ctx context.Context, c Candidate) error {
	if a.cfg.Hooks == nil || !a.cfg.Hooks.Matches(c.Model) {
		return nil
	}
	active := a.recorded(c.Model)
	if active != nil {
		if err := a.cfg.Hooks.Switch(context.WithoutCancel(ctx), &c.Release, active); err != nil {
			return fmt.Errorf("tell of version %s again: %w", active.Version, err)
		}
	}
	return a.update(c.Model, func(r *modelRecord) { r.Untold = false })
}

// tellAgain runs the hooks for what is active, if they may have been told
// something else.
func (a *Activator) tellAgain(ctx context.Context, model string) error {
	a.mu.RLock()
	r := a.models[model]
	a.mu.RUnlock()
	if !r.Untold || r.Active == nil {
		return nil
	}
	if a.cfg.Hooks != nil && a.cfg.Hooks.Matches(model) {
		if err := a.cfg.Hooks.Switch(ctx, nil, r.Active); err != nil {
			return fmt.Errorf("%w: %w", ErrHook, err)
		}
	}
	return a.update(model, func(r *modelRecord) { r.Untold = false })
}

// recorded returns the release that the state file names as active.
func (a *Activator) recorded(model string) *Release {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return copied(a.models[model].Active)
}

func suffix(err error) string {
	if err == nil {
		return ""
	}
	return "; " + err.Error()
}
