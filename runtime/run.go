package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// rollBackAgain is how long a rollback that failed is left alone.
const rollBackAgain = time.Minute

// Run watches active releases that are not committed until ctx ends, and
// returns its error: it commits those whose soak is over, and rolls those back
// that fail in it. resolve finds the files of the release to go back to, as in
// Restore. Without Run nothing is committed. Call it once.
func (a *Activator) Run(ctx context.Context, resolve Resolve) error {
	left := make(map[string]time.Time) // models whose rollback failed, until when
	for {
		wait := a.settle(ctx, resolve, left)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-a.trouble:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// troubled wakes Run.
func (a *Activator) troubled() {
	select {
	case a.trouble <- struct{}{}:
	default:
	}
}

// settle looks at every soak, and returns when to look again.
func (a *Activator) settle(ctx context.Context, resolve Resolve, left map[string]time.Time) time.Duration {
	next := time.Hour
	for _, s := range a.watchedOnes() {
		model, now := s.info.Model, time.Now()
		if until, ok := left[model]; ok && now.Before(until) {
			next = min(next, until.Sub(now))
			continue
		}
		delete(left, model)
		why := s.verdict()
		until := s.soakEnd()
		if why == nil && now.Before(until) {
			next = min(next, until.Sub(now))
			continue
		}
		if err := a.conclude(ctx, s, why, resolve); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Error("a soak cannot be concluded", releaseAttrs(s.info.Release), slog.Any("error", err))
			left[model] = time.Now().Add(rollBackAgain)
			next = min(next, rollBackAgain)
		}
	}
	return next
}

func (a *Activator) watchedOnes() []*served {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var all []*served
	for _, s := range a.serving {
		if s.isWatched() {
			all = append(all, s)
		}
	}
	return all
}

// conclude commits s, or rolls it back where why is not nil.
func (a *Activator) conclude(ctx context.Context, s *served, why error, resolve Resolve) error {
	ctx, end, err := a.begin(ctx, Release{})
	if err != nil {
		return err
	}
	defer end()
	model := s.info.Model
	a.mu.RLock()
	record, still := a.models[model], a.serving[model] == s
	a.mu.RUnlock()
	if !still || record.Soak == nil { // replaced in the meantime
		return nil
	}
	if why == nil {
		return a.commit(s)
	}
	at := Attempt{Release: s.info.Release, Stage: StageSoaking, Class: classOf(why), Reason: why.Error(), RolledBack: true}
	at.Evidence = a.keepEvidence(Evidence{
		Release: at.Release, Stage: at.Stage, Class: at.Class, Reason: at.Reason, Soak: s.soakStatus(record.Soak.TriesLeft),
	})
	if record.Previous == nil || record.quarantined(*record.Previous) != nil {
		return a.giveUp(at)
	}
	c, err := resolve(ctx, *record.Previous)
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return fmt.Errorf("roll back %s: find version %s: %w", model, record.Previous.Version, err)
	}
	if !c.Same(*record.Previous) {
		return fmt.Errorf("roll back %s: %w: it is another release", model, ErrCandidate)
	}
	return a.goBack(ctx, c, at)
}

// commit ends a soak that went well.
func (a *Activator) commit(s *served) error {
	if err := a.update(s.info.Model, func(r *modelRecord) {
		r.Soak = nil
		r.Failed = r.cleared(s.info.Release) // restarts that it survived
	}); err != nil {
		return err
	}
	s.mu.Lock()
	s.soak = nil
	s.mu.Unlock()
	a.cfg.Logger.Info("release is committed", releaseAttrs(s.info.Release))
	return nil
}

// soakEnd is when a soak is over.
func (s *served) soakEnd() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.soak == nil {
		return time.Now()
	}
	return s.soak.until
}

func (a *Activator) newSoak() *soaking {
	return &soaking{Since: time.Now().UTC(), TriesLeft: a.cfg.Soak.Tries}
}

// pauseSoaks records that the process ends on purpose. The caller holds turn.
func (a *Activator) pauseSoaks() error {
	var errs []error
	for _, s := range a.watchedOnes() {
		errs = append(errs, a.update(s.info.Model, func(r *modelRecord) {
			if r.Soak != nil {
				r.Soak.Clean = true
			}
		}))
	}
	return errors.Join(errs...)
}
