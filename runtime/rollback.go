package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// RollBack makes c, an earlier release, active in place of the one that is, by
// an operator's word. What was active is recorded as rolled back: it is in
// quarantine until Forgive, and only a newer release replaces c. c is verified,
// tried, loaded and warmed up as by Activate; where that fails, what is active
// goes on serving. c needs no soak. Errors wrap ErrNoWayBack (nothing is active,
// or c is), ErrQuarantined, ErrCandidate, what Activate fails with, ErrClosed or
// ctx.Err().
func (a *Activator) RollBack(ctx context.Context, c Candidate) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("roll back %s: %w", c.Model, err)
	}
	ctx, end, err := a.begin(ctx, c.Release)
	if err != nil {
		return fmt.Errorf("roll back %s: %w", c.Model, err)
	}
	defer end()
	active := a.recorded(c.Model)
	switch {
	case active == nil:
		return fmt.Errorf("roll back %s: %w: nothing is active", c.Model, ErrNoWayBack)
	case active.Same(c.Release):
		return fmt.Errorf("roll back %s: %w: version %s is active", c.Model, ErrNoWayBack, c.Version)
	}
	if err := a.quarantined(c.Release); err != nil {
		return fmt.Errorf("roll back %s to %s: %w", c.Model, c.Version, err)
	}
	at := Attempt{Release: *active, Stage: StageCommitted, Reason: "rolled back by its operator", RolledBack: true}
	if err := a.goBack(ctx, c, at); err != nil {
		return fmt.Errorf("roll back %s to %s: %w", c.Model, c.Version, err)
	}
	return nil
}

// goBack makes c active, and records at of the release that was. The caller
// holds turn.
func (a *Activator) goBack(ctx context.Context, c Candidate, at Attempt) error {
	at.At = time.Now().UTC()
	journal := func(s Stage) error {
		return a.update(c.Model, func(r *modelRecord) {
			r.Pending = &pending{Release: c.Release, Stage: s, Tries: 1, Restore: true}
		})
	}
	p, stage, err := a.prepare(ctx, c, journal)
	if err == nil {
		stage = StageSwitching
		err = a.switchTo(ctx, c, journal, func(r *modelRecord) {
			r.fail(at)
			r.Soak = nil
			if r.Previous != nil && r.Previous.Same(c.Release) {
				r.Previous = nil
			}
		})
	}
	if err != nil {
		err = errors.Join(&Failure{Release: c.Release, Stage: stage, Class: classOf(err), cause: err}, a.unprepare(ctx, p))
		return errors.Join(err, a.forget(c.Model))
	}
	a.serve(c, p, false)
	a.cfg.Logger.Warn("rolled back", releaseAttrs(at.Release), slog.String("to", c.Version), slog.String("reason", at.Reason))
	return nil
}

// giveUp takes a release out of service that has failed its soak and has no
// other to go back to.
func (a *Activator) giveUp(at Attempt) error {
	at.At = time.Now().UTC()
	if err := a.update(at.Model, func(r *modelRecord) {
		r.fail(at)
		r.Active, r.Soak, r.Untold = nil, nil, false
	}); err != nil {
		return err
	}
	a.unserve(at.Model)
	return nil
}
