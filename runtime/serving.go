package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// serve switches the model to what is prepared. Requests under way finish on the
// old session, which is then closed. Where watched, its soak begins.
func (a *Activator) serve(c Candidate, p prepared, watched bool) {
	info := ActiveInfo{
		Release: c.Release, Signature: p.session.Signature(), ActiveSince: time.Now().UTC(), External: c.External, Warm: p.warm,
	}
	s := newServed(info, p.session, a.cfg.Logger)
	s.candidate, s.odd = c, p.odd
	a.mu.Lock()
	old := a.serving[c.Model]
	before := old
	if before == nil {
		before = p.unloaded
	}
	if watched {
		s.soak = &soak{rules: a.cfg.Soak, until: time.Now().Add(a.cfg.Soak.Duration), odd: p.odd}
		if before != nil && !before.info.Same(c.Release) {
			s.soak.before = before.summary()
		}
	}
	a.serving[c.Model] = s
	delete(a.outages, c.Model)
	if old != nil {
		a.draining[c.Model] = old
	}
	a.mu.Unlock()
	version := "none"
	if before != nil {
		version = before.info.Version
	}
	if old != nil {
		old.retire()
	}
	a.cfg.Logger.Info("release is active", releaseAttrs(c.Release), slog.String("before", version), slog.Bool("watched", watched))
	if watched {
		a.troubled()
	}
}

// unserve takes the model out of service. Requests under way finish.
func (a *Activator) unserve(model string) {
	a.mu.Lock()
	old := a.serving[model]
	delete(a.serving, model)
	if old != nil {
		a.draining[model] = old
	}
	a.mu.Unlock()
	if old != nil {
		old.retire()
		a.cfg.Logger.Info("model is no longer served", releaseAttrs(old.info.Release))
	}
}

// isWatched tells whether s is not committed.
func (s *served) isWatched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.soak != nil
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
