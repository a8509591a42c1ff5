package runtime

import (
	"context"
	"fmt"
)

// Deactivate stops serving the model and forgets its active and previous
// release; failed attempts stay recorded. Requests in flight finish. It waits
// for an activation under way, or for ctx. A model that is not known is no
// error. Errors wrap ErrState (it serves on), ErrClosed or ctx.Err().
func (a *Activator) Deactivate(ctx context.Context, model string) error {
	ctx, end, err := a.begin(ctx, Release{})
	if err != nil {
		return fmt.Errorf("deactivate %s: %w", model, err)
	}
	defer end()
	if err := a.drained(ctx, model); err != nil {
		return fmt.Errorf("deactivate %s: %w", model, err)
	}
	err = a.update(model, func(r *modelRecord) { r.Active, r.Previous, r.Pending, r.Soak, r.Untold = nil, nil, nil, nil, false })
	if err != nil {
		return fmt.Errorf("deactivate %s: %w", model, err)
	}
	a.unserve(model)
	return nil
}
