package runtime

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// begin waits for the caller's turn to change something. The context it
// returns ends with ctx, with Close, and with end, which gives the turn back.
func (a *Activator) begin(ctx context.Context, r Release) (_ context.Context, end func(), err error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		<-a.turn
		return nil, nil, fmt.Errorf("activator %w", ErrClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	a.cancel = cancel
	if r.Model != "" {
		a.pending = &r
	}
	return ctx, func() {
		a.mu.Lock()
		a.pending, a.stage, a.cancel = nil, "", nil
		a.mu.Unlock()
		cancel()
		<-a.turn
	}, nil
}

// reached notes how far the activation under way is.
func (a *Activator) reached(s Stage) {
	a.mu.Lock()
	a.stage = s
	a.mu.Unlock()
}

// update changes the record of one model, on disk first. Only the holder of
// turn calls it.
func (a *Activator) update(model string, change func(r *modelRecord)) error {
	a.mu.RLock()
	models := maps.Clone(a.models)
	a.mu.RUnlock()
	before := models[model].Failed
	r := models[model].clone()
	r.Model = model
	change(&r)
	models[model] = r
	if r.Active == nil && r.Previous == nil && r.Pending == nil && len(r.Failed) == 0 {
		delete(models, model)
	}
	if err := a.write(a.cfg.StateDir, models); err != nil {
		return err
	}
	a.mu.Lock()
	a.models = models
	a.mu.Unlock()
	a.dropEvidence(before, r.Failed)
	return nil
}

// failed records a failed attempt, as of now.
func (a *Activator) failed(at Attempt) error {
	at.At = time.Now().UTC()
	return a.update(at.Model, func(r *modelRecord) {
		r.Pending = nil
		r.fail(at)
	})
}

// forget takes the journal entry of an interrupted activation out again, if
// there is one.
func (a *Activator) forget(model string) error {
	a.mu.RLock()
	none := a.models[model].Pending == nil
	a.mu.RUnlock()
	if none {
		return nil
	}
	return a.update(model, func(r *modelRecord) { r.Pending = nil })
}
