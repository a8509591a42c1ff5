package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFailureLeavesTheActiveOneServing is Law 6 for activations.
func TestFailureLeavesTheActiveOneServing(t *testing.T) {
	refused := errors.New("flipped bit")
	for name, c := range map[string]struct {
		content string
		change  func(t *testing.T, s *site, a *Activator, c *Candidate)
		want    error
		stage   Stage
	}{
		"does not verify": {"good", func(_ *testing.T, _ *site, _ *Activator, c *Candidate) {
			c.Verify = func(context.Context) error { return refused }
		}, ErrVerify, StageVerifying},
		"entry is missing": {"good", func(_ *testing.T, _ *site, _ *Activator, c *Candidate) {
			c.Entry = "other.onnx"
			c.Verify = func(context.Context) error { return nil }
		}, ErrVerify, StageVerifying},
		"entry is a link out of the folder": {"good", func(t *testing.T, s *site, _ *Activator, c *Candidate) {
			if err := os.Symlink(filepath.Join(s.files, "1", "model.onnx"), filepath.Join(c.Dir, "link.onnx")); err != nil {
				t.Skip(err)
			}
			c.Entry = "link.onnx"
		}, ErrVerify, StageVerifying},
		"probe crashes": {"good", func(_ *testing.T, s *site, a *Activator, _ *Candidate) {
			a.cfg.Prober = proberFunc(func(context.Context, string) error { return ErrProbe })
		}, ErrProbe, StageProbing},
		"load fails": {"bad", func(*testing.T, *site, *Activator, *Candidate) {}, ErrLoad, StageLoading},
		"no runtime": {"good", func(_ *testing.T, s *site, _ *Activator, _ *Candidate) {
			s.engine.reason = "no library"
		}, ErrNoRuntime, StageVerifying},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			a := s.start(t)
			v1 := s.candidate(t, "1", "good one")
			if err := a.Activate(t.Context(), v1); err != nil {
				t.Fatal(err)
			}
			v2 := s.candidate(t, "2", c.content)
			c.change(t, s, a, &v2)
			for range 2 {
				if err := a.Activate(t.Context(), v2); !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
			}
			mustServe(t, a, "1", "good one")
			st := status(t, a)
			if *st.Recorded != v1.Release || st.Previous != nil || st.Pending != nil {
				t.Errorf("wrong status: %+v", st)
			}
			if len(st.Failed) != 1 || st.Failed[0].Count != 2 || st.Failed[0].Stage != c.stage || st.Failed[0].Reason == "" {
				t.Errorf("wrong record of the failure: %+v", st.Failed)
			}
			if got := s.engine.open.Load(); got != 1 {
				t.Errorf("%d sessions are open, want 1", got)
			}
		})
	}
}

// failWrites makes the state unwritable from the n-th write on.
func failWrites(a *Activator, n int) error {
	full := errors.Join(ErrState, errors.New("no space left on device"))
	a.write = func(dir string, models map[string]modelRecord) error {
		if n--; n < 0 {
			return full
		}
		return writeState(dir, models)
	}
	return full
}

func TestFullDiskLeavesTheActiveOneServing(t *testing.T) {
	for n := range 2 { // an activation writes twice
		s := newSite(t)
		a := s.start(t)
		if err := a.Activate(t.Context(), s.candidate(t, "1", "good one")); err != nil {
			t.Fatal(err)
		}
		full := failWrites(a, n)
		if err := a.Activate(t.Context(), s.candidate(t, "2", "good two")); !errors.Is(err, full) {
			t.Fatalf("got %v, want %v", err, full)
		}
		mustServe(t, a, "1", "good one")
		if got := s.engine.open.Load(); got != 1 {
			t.Errorf("%d sessions are open, want 1", got)
		}
		again := s.start(t)
		if err := again.Restore(t.Context(), s.resolve); err != nil {
			t.Fatal(err)
		}
		mustServe(t, again, "1", "good one")
	}
}

func TestSuccessForgetsFailures(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	if err := a.Activate(t.Context(), s.candidate(t, "1", "bad")); !errors.Is(err, ErrLoad) {
		t.Fatal(err)
	}
	if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); !errors.Is(err, ErrNotActive) || !strings.Contains(err.Error(), "not good") {
		t.Errorf("got %v, want ErrNotActive with the reason", err)
	}
	if err := a.Activate(t.Context(), s.candidate(t, "1", "good")); err != nil {
		t.Fatal(err)
	}
	if st := status(t, a); len(st.Failed) != 0 {
		t.Errorf("still recorded: %+v", st.Failed)
	}
}

func TestFailedAttemptsAreBounded(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	for v := range strings.SplitSeq("abcdefghijkl", "") {
		c := s.candidate(t, v, "bad")
		c.Verify = func(context.Context) error { return errors.New(strings.Repeat("long ", 10_000)) }
		if err := a.Activate(t.Context(), c); err == nil {
			t.Fatal("activated")
		}
	}
	st := status(t, a)
	if len(st.Failed) != maxFailed || st.Failed[maxFailed-1].Version != "l" || len(st.Failed[0].Reason) > maxReasonBytes+3 {
		t.Errorf("%d attempts are kept", len(st.Failed))
	}
}
