package runtime

import (
	"context"
	"fmt"
)

// quarantined returns an error that wraps ErrQuarantined if loading r has ended
// the process too often. The caller holds turn.
func (a *Activator) quarantined(r Release) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, at := range a.models[r.Model].Failed {
		if at.Same(r) && at.Quarantined() {
			return quarantine(at.Crashes)
		}
	}
	return nil
}

func quarantine(crashes int) error {
	return fmt.Errorf("%w: the process ended %d times while loading it", ErrQuarantined, crashes)
}

// Forgive forgets the failed attempts at the model's releases, so that one in
// quarantine may be tried again; nothing is loaded by it. It waits for an
// activation under way, or for ctx. A model that is not known is no error.
// Errors wrap ErrState (nothing is forgotten), ErrClosed or ctx.Err().
func (a *Activator) Forgive(ctx context.Context, model string) error {
	_, end, err := a.begin(ctx, Release{})
	if err != nil {
		return fmt.Errorf("forgive %s: %w", model, err)
	}
	defer end()
	// Whatever is pending now was so when an earlier process ended.
	if err := a.update(model, func(r *modelRecord) { r.Pending, r.Failed = nil, nil }); err != nil {
		return fmt.Errorf("forgive %s: %w", model, err)
	}
	return nil
}
