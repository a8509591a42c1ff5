package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// makeRoom unloads what serves the model, where memory does not hold both it
// and c: from now until something serves again requests fail with
// ErrUnavailable. It returns what it unloaded, nil for nothing.
func (a *Activator) makeRoom(ctx context.Context, c Candidate) (*served, error) {
	a.mu.RLock()
	old := a.serving[c.Model]
	a.mu.RUnlock()
	if old == nil || old.info.External || (!a.cfg.UnloadFirst && !a.scarce(c)) {
		return nil, nil
	}
	if err := a.drained(ctx, c.Model); err != nil {
		return nil, err
	}
	a.mu.Lock()
	delete(a.serving, c.Model)
	a.draining[c.Model] = old
	a.outages[c.Model] = time.Now().UTC()
	a.mu.Unlock()
	old.retire()
	a.cfg.Logger.Warn("unloaded to make room for the next release: the model is unavailable until that has been tried",
		releaseAttrs(old.info.Release), slog.String("next", c.Version))
	return old, a.drained(ctx, c.Model)
}

// scarce tells whether the memory that is left does not hold c: half again as
// much as its file, for weights and the space to run in, and what a child
// process of this program takes.
func (a *Activator) scarce(c Candidate) bool {
	const child = 64 << 20
	if a.cfg.AvailableMemory == nil {
		return false
	}
	left, known := a.cfg.AvailableMemory()
	info, err := os.Stat(c.Path())
	return known && err == nil && left < uint64(info.Size())*3/2+child
}

// reload has old, which was unloaded, serve again.
func (a *Activator) reload(ctx context.Context, old *served) error {
	defer func() {
		a.mu.Lock()
		delete(a.outages, old.info.Model)
		a.mu.Unlock()
	}()
	a.mu.RLock()
	closed := a.closed
	a.mu.RUnlock()
	if closed {
		return nil // the next start restores it
	}
	// Not for a caller that gave up: others want the model.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), warmTime)
	defer cancel()
	p, err := a.loadAgain(ctx, old)
	if err != nil {
		a.cfg.Logger.Error("what was unloaded cannot be loaded again", releaseAttrs(old.info.Release), slog.Any("error", err))
		return fmt.Errorf("load version %s again: %w", old.info.Version, err)
	}
	watched := old.isWatched()
	a.serve(old.candidate, p, watched)
	return nil
}

func (a *Activator) loadAgain(ctx context.Context, old *served) (prepared, error) {
	c := old.candidate
	if err := a.drained(ctx, c.Model); err != nil {
		return prepared{}, err
	}
	if err := c.Verify(ctx); err != nil {
		return prepared{}, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	if err := checkEntry(c); err != nil {
		return prepared{}, err
	}
	a.tolerate(c.Release, a.update(c.Model, func(r *modelRecord) {
		r.Pending = &pending{Release: c.Release, Stage: StageLoading, Restore: true, Tries: 1}
	}))
	session, err := a.cfg.Engine.Load(ctx, c.Path())
	a.tolerate(c.Release, a.forget(c.Model))
	if err == nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), session.Close())
	}
	return prepared{session: session, odd: old.odd}, err
}
