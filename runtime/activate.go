package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// Activate makes c the active release of its model, as the package comment
// tells. It returns nil at once where c is active already. Activations of all
// models take turns. On any error the release that was active keeps serving, or
// serves again where it had to be unloaded first; the attempt is recorded unless
// ctx ended it. A release that is quarantined is not touched, and the attempt
// not counted. Errors wrap ErrCandidate, ErrQuarantined, ErrClosed or ctx.Err(),
// or are a *[Failure] that wraps ErrVerify, ErrProbe, ErrGolden, ErrLoad, ErrRun,
// ErrProvider, ErrHook, ErrNoRuntime or ErrState.
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
	p, stage, err := a.activate(ctx, c)
	if err == nil {
		return nil
	}
	err = errors.Join(err, a.unprepare(ctx, p))
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errors.Join(fmt.Errorf("activate %s %s: %s: %w", c.Model, c.Version, stage, err), a.forget(c.Model))
	}
	f := &Failure{Release: c.Release, Stage: stage, Class: classOf(err), cause: err}
	at := Attempt{Release: c.Release, Stage: stage, Class: f.Class, Reason: f.Error()}
	at.Evidence = a.keepEvidence(Evidence{Release: c.Release, Stage: stage, Class: f.Class, Reason: at.Reason, Trial: p.report})
	f.Evidence = a.evidencePath(at.Evidence)
	a.cfg.Logger.Warn("activation failed", releaseAttrs(c.Release), slog.String("stage", string(stage)),
		slog.String("class", string(f.Class)), slog.Any("error", err))
	return errors.Join(fmt.Errorf("activate %s %s: %w", c.Model, c.Version, f), a.failed(at))
}

// activate does it, and returns how far it came.
func (a *Activator) activate(ctx context.Context, c Candidate) (prepared, Stage, error) {
	journal := func(s Stage) error {
		return a.update(c.Model, func(r *modelRecord) { r.Pending = &pending{Release: c.Release, Stage: s, Tries: 1} })
	}
	p, stage, err := a.prepare(ctx, c, journal)
	if err != nil {
		return p, stage, err
	}
	watched := a.cfg.Soak.Duration > 0 && !c.External
	err = a.switchTo(ctx, c, journal, func(r *modelRecord) {
		r.Failed = r.cleared(c.Release)
		// What is not committed is nothing to go back to, while there is better.
		if r.Active != nil && !r.Active.Same(c.Release) && (r.Soak == nil || r.Previous == nil) {
			r.Previous = r.Active
		}
		r.Soak = nil
		if watched {
			r.Soak = a.newSoak()
		}
	})
	if err != nil {
		return p, StageSwitching, err
	}
	a.serve(c, p, watched)
	return p, StageSwitching, nil
}

// switchTo tells other programs and makes c the recorded active release, after
// change. Its write is the commit point: a crash before it leaves the old
// release active, a crash after it the new one, which has passed everything.
func (a *Activator) switchTo(ctx context.Context, c Candidate, journal func(Stage) error, change func(r *modelRecord)) error {
	a.reached(StageSwitching)
	if err := journal(StageSwitching); err != nil {
		return err
	}
	if err := a.tell(ctx, c); err != nil {
		return err
	}
	err := a.update(c.Model, func(r *modelRecord) {
		change(r)
		r.Pending, r.Untold, r.Active = nil, false, &c.Release
	})
	if err != nil {
		return errors.Join(err, a.tellBack(ctx, c))
	}
	return nil
}

// checkEntry makes sure that what is to be loaded lies in the variant's folder,
// whatever links there are.
func checkEntry(c Candidate) error {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrVerify, err)
	}
	info, err := root.Stat(filepath.FromSlash(c.Entry))
	if err = errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("%w: entry %q in %s: %w", ErrVerify, c.Entry, c.Dir, err)
	}
	if !info.Mode().IsRegular() && (!c.External || !info.IsDir()) {
		return fmt.Errorf("%w: entry %q in %s is not a regular file", ErrVerify, c.Entry, c.Dir)
	}
	return nil
}
