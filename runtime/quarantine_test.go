//go:build unix

package runtime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// killer makes a machine on which loading release r ends the process, although
// the child process survives it.
func killer(t *testing.T, s *site, r Release) {
	t.Helper()
	s.engine.onLoad = func() {
		models, err := readState(s.state)
		if err != nil {
			t.Fatal(err)
		}
		if p := models[r.Model].Pending; p != nil && p.Same(r) {
			panic(crash{})
		}
	}
}

// TestCrashingReleaseIsQuarantined is Law 6 for a release that kills the node
// itself: three starts are disturbed, no fourth.
func TestCrashingReleaseIsQuarantined(t *testing.T) {
	s := newSite(t)
	v2 := s.candidate(t, "2", "good two")
	a := abandoned(t, s)
	if err := a.Activate(t.Context(), s.candidate(t, "1", "good one")); err != nil {
		t.Fatal(err)
	}
	killer(t, s, v2.Release)
	for try := range maxCrashes {
		if !untilCrash(t, func() { t.Errorf("try %d: %v", try, a.Activate(t.Context(), v2)) }) {
			t.Fatal("it did not crash")
		}
		a = abandoned(t, s)
		if err := a.Restore(t.Context(), s.resolve); err != nil {
			t.Fatal(err)
		}
		mustServe(t, a, "1", "good one")
		if st := status(t, a); len(st.Failed) != 1 || st.Failed[0].Crashes != try+1 || st.Failed[0].Quarantined() != (try+1 == maxCrashes) {
			t.Fatalf("after %d crashes: %+v", try+1, st.Failed)
		}
	}
	for range 2 { // this process, and the next one
		for range 2 {
			loads := s.engine.loads.Load()
			err := a.Activate(t.Context(), v2)
			if !errors.Is(err, ErrQuarantined) || !strings.Contains(err.Error(), "ended 3 times") || s.engine.loads.Load() != loads {
				t.Fatalf("got %v after %d loads, want ErrQuarantined", err, s.engine.loads.Load()-loads)
			}
		}
		mustServe(t, a, "1", "good one")
		a = abandoned(t, s)
		if err := a.Restore(t.Context(), s.resolve); err != nil {
			t.Fatal(err)
		}
	}
	// An operator changed the driver.
	s.engine.onLoad = nil
	if err := errors.Join(a.Forgive(t.Context(), "acme/vad"), a.Forgive(t.Context(), "acme/unknown")); err != nil {
		t.Fatal(err)
	}
	if st := status(t, a); len(st.Failed) != 0 {
		t.Errorf("not forgotten: %+v", st.Failed)
	}
	a = abandoned(t, s)
	if err := a.Activate(t.Context(), v2); err != nil {
		t.Fatal(err)
	}
	mustServe(t, a, "2", "good two")
}

// The only release of a model, active for long, kills the process from some
// start on: it is given up for good, not for one start.
func TestOnlyReleaseIsQuarantined(t *testing.T) {
	s := newSite(t)
	v1 := s.candidate(t, "1", "good one")
	if err := abandoned(t, s).Activate(t.Context(), v1); err != nil {
		t.Fatal(err)
	}
	killer(t, s, v1.Release)
	crashes := 0
	for range 4 * maxCrashes {
		a := abandoned(t, s)
		if untilCrash(t, func() {
			if err := a.Restore(t.Context(), s.resolve); !errors.Is(err, ErrQuarantined) {
				t.Errorf("restore: %v", err)
			}
			if err := a.Activate(t.Context(), v1); !errors.Is(err, ErrQuarantined) {
				t.Errorf("activate: %v", err)
			}
		}) {
			crashes++
		}
	}
	if crashes != maxCrashes {
		t.Errorf("%d crashes, want %d", crashes, maxCrashes)
	}
	s.engine.onLoad = nil
	a := abandoned(t, s)
	if st := status(t, a); st.Recorded == nil || len(st.Failed) != 1 || st.Failed[0].Count != 1 {
		t.Errorf("recorded: %+v", st)
	}
	if err := errors.Join(a.Forgive(t.Context(), "acme/vad"), a.Restore(t.Context(), s.resolve)); err != nil {
		t.Fatal(err)
	}
	mustServe(t, a, "1", "good one")
}

// Failures of other releases do not push a quarantine out of the record, nor is
// a new attempt lost among quarantines.
func TestQuarantineOutlivesFailures(t *testing.T) {
	r := modelRecord{Model: "acme/vad"}
	at := func(i, crashes int) Attempt {
		return Attempt{Release: Release{Model: "acme/vad", Release: fmt.Sprint(i)}, Crashes: crashes}
	}
	r.fail(at(0, maxCrashes))
	for i := range 2 * maxFailed {
		r.fail(at(1+i, 0))
	}
	if len(r.Failed) != maxFailed || !r.Failed[0].Quarantined() {
		t.Errorf("kept %+v", r.Failed)
	}
	for i := range 2 * maxFailed {
		r.fail(at(100+i, maxCrashes))
	}
	r.fail(at(0, 1))
	if last := r.Failed[len(r.Failed)-1]; len(r.Failed) != maxFailed || last.Release.Release != "0" || last.Crashes != 1 {
		t.Errorf("kept %+v", r.Failed)
	}
}
