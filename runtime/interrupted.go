package runtime

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// interrupted returns r as it is after the process that wrote it has ended: an
// activation that was under way is over, and a failed attempt if it had come to
// where a release can end the process; a release that was watched has one try
// less, and is rolled back after its last, unless blamed says that a load was
// under way, of this or another model.
func (a *Activator) interrupted(r modelRecord, blamed bool) modelRecord {
	r = r.clone()
	// The load of the watched release itself is one of its tries.
	blamed = blamed && (r.Pending == nil || !r.Pending.Restore || r.Active == nil || !r.Pending.Same(*r.Active))
	if p := r.Pending; p != nil && !p.Restore {
		r.Pending = nil
		if p.dangerous() {
			a.hold(&r, Attempt{Release: p.Release, Stage: p.Stage, Reason: "the process ended while loading it", Crashes: 1})
		}
	}
	if r.Soak == nil || r.Soak.Clean || blamed {
		return r
	}
	r.Soak.TriesLeft--
	r.Soak.Clean = true // counted; no longer so once it serves again
	at := Attempt{Release: *r.Active, Stage: StageSoaking, Reason: fmt.Sprintf("%v, %d tries left", errRestarted, r.Soak.TriesLeft)}
	at.RolledBack = r.Soak.TriesLeft <= 0
	a.hold(&r, at)
	if !at.RolledBack {
		return r
	}
	if p := r.Pending; p != nil && p.Same(*r.Active) {
		r.Pending = nil
	}
	r.Active, r.Previous, r.Soak = r.Previous, nil, nil
	r.Untold = r.Active != nil
	return r
}

// dangerous tells whether p had come to where a release can end the process.
func (p *pending) dangerous() bool {
	return slices.Contains([]Stage{StageLoading, StageWarming, StageSwitching}, p.Stage)
}

// hold adds a failure that an earlier process did not live to record.
func (a *Activator) hold(r *modelRecord, at Attempt) {
	at.Class, at.At = ClassEnvironment, time.Now().UTC()
	at.Evidence = a.keepEvidence(Evidence{Release: at.Release, Stage: at.Stage, Class: at.Class, Reason: at.Reason})
	r.fail(at)
	a.cfg.Logger.Warn("the process had ended unexpectedly", releaseAttrs(at.Release), slog.String("stage", string(at.Stage)),
		slog.Bool("rolled_back", at.RolledBack))
}
