package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Activate makes c the active release of its model, as the package comment
// tells. It returns nil at once where c is active already. Activations of all
// models take turns. On any error the active release keeps serving; the
// attempt is recorded unless ctx ended it. A release that is quarantined is not
// touched, and the attempt not counted. Errors wrap ErrCandidate,
// ErrQuarantined, ErrVerify, ErrProbe, ErrLoad, ErrNoRuntime, ErrState,
// ErrClosed or ctx.Err().
func (a *Activator) Activate(ctx context.Context, c Candidate) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("activate %s: %w", c.Model, err)
	}
	ctx, end, err := a.begin(ctx, c.Release)
	if err != nil {
		return fmt.Errorf("activate %s %s: %w", c.Model, c.Version, err)
	}
	defer end()
	if active, ok := a.Active(c.Model); ok && active.Same(c.Release) {
		return nil
	}
	if err := a.quarantined(c.Release); err != nil {
		return fmt.Errorf("activate %s %s: %w", c.Model, c.Version, err)
	}
	stage, err := a.activate(ctx, c)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("activate %s %s: %s: %w", c.Model, c.Version, stage, err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errors.Join(err, a.forget(c.Model))
	}
	a.cfg.Logger.Warn("activation failed", releaseAttrs(c.Release), slog.String("stage", string(stage)), slog.Any("error", err))
	return errors.Join(err, a.failed(Attempt{Release: c.Release, Stage: stage, Reason: err.Error()}))
}

// activate does it, and returns how far it came.
func (a *Activator) activate(ctx context.Context, c Candidate) (Stage, error) {
	session, stage, err := a.prepare(ctx, c, func() error {
		return a.update(c.Model, func(r *modelRecord) {
			r.Pending = &pending{Release: c.Release, Stage: StageLoading, Tries: 1}
		})
	})
	if err != nil {
		return stage, err
	}
	a.reached(StageSwitching)
	// The commit point: a crash before it leaves the old release active, a
	// crash after it the new one, which has passed everything.
	err = a.update(c.Model, func(r *modelRecord) {
		r.Pending = nil
		r.Failed = r.cleared(c.Release)
		if r.Active == nil || !r.Active.Same(c.Release) {
			r.Previous = r.Active
		}
		r.Active = &c.Release
	})
	if err != nil {
		return StageSwitching, errors.Join(err, session.Close())
	}
	a.serve(c.Release, session)
	return StageSwitching, nil
}

// prepare verifies, probes and loads c; journal is called before the load in
// this process. It returns the stage that failed.
func (a *Activator) prepare(ctx context.Context, c Candidate, journal func() error) (Session, Stage, error) {
	a.reached(StageVerifying)
	if why := a.cfg.Engine.Info().Reason; why != "" {
		return nil, StageVerifying, NoRuntime(errors.New(why))
	}
	if err := c.Verify(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, StageVerifying, errors.Join(ctx.Err(), err)
		}
		return nil, StageVerifying, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	if err := checkEntry(c.Release); err != nil {
		return nil, StageVerifying, err
	}
	a.reached(StageProbing)
	if err := a.cfg.Prober.Probe(ctx, c.Path()); err != nil {
		return nil, StageProbing, err
	}
	a.reached(StageLoading)
	if err := a.drained(ctx, c.Model); err != nil {
		return nil, StageLoading, err
	}
	if err := journal(); err != nil {
		return nil, StageLoading, err
	}
	s, err := a.cfg.Engine.Load(ctx, c.Path())
	if err != nil {
		return nil, StageLoading, err
	}
	if err := ctx.Err(); err != nil {
		return nil, StageLoading, errors.Join(err, s.Close())
	}
	return s, StageLoading, nil
}

// checkEntry makes sure that the file to load lies in the variant's folder,
// whatever links there are.
func checkEntry(r Release) error {
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrVerify, err)
	}
	info, err := root.Stat(filepath.FromSlash(r.Entry))
	if err = errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("%w: entry %q in %s: %w", ErrVerify, r.Entry, r.Dir, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: entry %q in %s is not a regular file", ErrVerify, r.Entry, r.Dir)
	}
	return nil
}

// serve switches the model to session. Requests under way finish on the old
// one, which is then closed.
func (a *Activator) serve(r Release, session Session) {
	info := ActiveInfo{Release: r, Signature: session.Signature(), ActiveSince: time.Now().UTC()}
	a.mu.Lock()
	old := a.serving[r.Model]
	a.serving[r.Model] = newServed(info, session, a.cfg.Logger)
	if old != nil {
		a.draining[r.Model] = old
	}
	a.mu.Unlock()
	before := "none"
	if old != nil {
		before = old.info.Version
		old.retire()
	}
	a.cfg.Logger.Info("release is active", releaseAttrs(r), slog.String("before", before))
}

// drained waits until the session that served the model before the active one
// is closed, so that a model never has more than two.
func (a *Activator) drained(ctx context.Context, model string) error {
	a.mu.RLock()
	old := a.draining[model]
	a.mu.RUnlock()
	if old == nil {
		return nil
	}
	select {
	case <-old.closed: // an error of Close has been logged
	case <-ctx.Done():
		return fmt.Errorf("wait for requests on version %s: %w", old.info.Version, ctx.Err())
	}
	a.mu.Lock()
	delete(a.draining, model)
	a.mu.Unlock()
	return nil
}
