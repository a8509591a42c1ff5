package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Resolve says where the files of a recorded release lie now, and how they are
// verified. The candidate must be the same release and variant.
type Resolve func(ctx context.Context, r Release) (Candidate, error)

// Restore brings back what was active when the process last ended. For each
// recorded model it asks resolve for a candidate (where the files lie now, and
// how to verify them), verifies, probes and loads it; where that fails it does
// the same with the previous release. Models are restored one after another;
// the error joins those that could not be, the others serve. A release that
// ended the process three times while loading is quarantined, and passed over
// until Forgive.
//
// A model whose releases both fail stays recorded, and is tried again at the
// next start. A state file that cannot be written (a full disk) does not keep
// a release from being brought back; it is logged.
func (a *Activator) Restore(ctx context.Context, resolve Resolve) error {
	a.mu.RLock()
	models := slices.Sorted(maps.Keys(a.models))
	a.mu.RUnlock()
	var errs []error
	for _, model := range models {
		if err := a.restore(ctx, model, resolve); err != nil {
			errs = append(errs, fmt.Errorf("restore %s: %w", model, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// restore brings one model back.
func (a *Activator) restore(ctx context.Context, model string, resolve Resolve) error {
	a.mu.RLock()
	record := a.models[model]
	_, serves := a.serving[model]
	a.mu.RUnlock()
	if record.Active == nil || serves {
		return nil
	}
	ctx, end, err := a.begin(ctx, *record.Active)
	if err != nil {
		return err
	}
	defer end()
	var errs []error
	for _, rel := range []*Release{record.Active, record.Previous} {
		if rel == nil {
			continue
		}
		stage, err := a.bringBack(ctx, *rel, resolve)
		if err == nil {
			if err := a.tellAgain(ctx, model); err != nil {
				a.cfg.Logger.Error("other programs may run another release", releaseAttrs(*rel), slog.Any("error", err))
			}
			return nil
		}
		cause := err
		err = fmt.Errorf("version %s: %s: %w", rel.Version, stage, err)
		errs = append(errs, err)
		if ctx.Err() != nil {
			a.tolerate(*rel, a.forget(model))
			return errors.Join(errs...)
		}
		a.cfg.Logger.Error("active release cannot be brought back", releaseAttrs(*rel), slog.String("stage", string(stage)), slog.Any("error", err))
		if a.quarantined(*rel) == nil { // what is in quarantine was not tried
			at := Attempt{Release: *rel, Stage: stage, Class: classOf(cause), Reason: err.Error()}
			if errors.Is(err, ErrQuarantined) {
				at.Crashes, at.Class = maxCrashes, ClassEnvironment
			}
			at.Evidence = a.keepEvidence(Evidence{Release: *rel, Stage: stage, Class: at.Class, Reason: at.Reason})
			a.tolerate(*rel, a.failed(at))
		}
		if errors.Is(err, ErrNoRuntime) {
			break // the same for every release
		}
	}
	return errors.Join(errs...)
}

// bringBack makes rel, which is recorded, serve again.
func (a *Activator) bringBack(ctx context.Context, rel Release, resolve Resolve) (Stage, error) {
	a.mu.RLock()
	tries := 1
	if p := a.models[rel.Model].Pending; p != nil && p.Same(rel) {
		tries = p.Tries + 1
	}
	a.mu.RUnlock()
	if tries > maxCrashes {
		return StageLoading, Attempt{Crashes: maxCrashes}.Quarantine()
	}
	if err := a.quarantined(rel); err != nil {
		return StageLoading, err
	}
	c, err := resolve(ctx, rel)
	if err == nil {
		err = c.validate()
	}
	if err == nil && !c.Same(rel) {
		err = fmt.Errorf("%w: it is release %s, recorded is %s", ErrCandidate, c.Release.Release, rel.Release)
	}
	if err != nil {
		return StageVerifying, fmt.Errorf("find its files: %w", err)
	}
	p, stage, err := a.prepare(ctx, c, func(s Stage) error {
		if s != StageLoading { // the others harm nothing, or come after it
			return nil
		}
		a.tolerate(rel, a.update(rel.Model, func(r *modelRecord) {
			r.Pending = &pending{Release: c.Release, Stage: s, Restore: true, Tries: tries}
			if r.Soak != nil {
				r.Soak.Clean = false
			}
		}))
		return nil
	})
	if err != nil {
		return stage, errors.Join(err, a.unprepare(ctx, p))
	}
	watched := false
	a.tolerate(rel, a.update(rel.Model, func(r *modelRecord) {
		r.Pending = nil
		if r.Active == nil || !r.Active.Same(c.Release) {
			r.Soak, r.Untold = nil, true // gone back to
		}
		if r.Previous != nil && r.Previous.Same(c.Release) {
			r.Previous = nil // what was active is among the failed
		}
		r.Active = &c.Release
		if r.Soak != nil && a.cfg.Soak.Duration == 0 {
			r.Soak = nil
		}
		if r.Soak != nil {
			r.Soak.Since, watched = time.Now().UTC(), true
		}
	}))
	a.serve(c, p, watched)
	return StageSwitching, nil
}

// tolerate logs that the state file could not be written. Bringing back what
// served does not depend on it: the file still tells the next start what to do.
func (a *Activator) tolerate(r Release, err error) {
	if err != nil {
		a.cfg.Logger.Warn("activation state not written", releaseAttrs(r), slog.Any("error", err))
	}
}
