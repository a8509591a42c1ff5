package runtime

import (
	"context"
	"fmt"
)

// quarantined returns an error that wraps ErrQuarantined if r is in quarantine.
func (a *Activator) quarantined(r Release) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.models[r.Model].quarantined(r)
}

func (r modelRecord) quarantined(rel Release) error {
	for _, at := range r.Failed {
		if at.Same(rel) && at.Quarantined() {
			return at.Quarantine()
		}
	}
	return nil
}

// Forgive forgets the failed attempts at the model's releases, so that one in
// quarantine may be tried again, and their evidence; nothing is loaded by it. It waits for an
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
