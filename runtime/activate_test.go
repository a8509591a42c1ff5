package runtime

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestActivateSwitchesAndKeepsThePrevious(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); !errors.Is(err, ErrNotActive) {
		t.Errorf("before: got %v, want ErrNotActive", err)
	}
	v1, v2 := s.candidate(t, "1", "good one"), s.candidate(t, "2", "good two")
	for _, c := range []Candidate{v1, v2, v2} { // the third changes nothing
		if err := a.Activate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	mustServe(t, a, "2", "good two")
	st := status(t, a)
	if st.Active.Release != v2.Release || *st.Recorded != v2.Release || *st.Previous != v1.Release || st.Pending != nil {
		t.Errorf("wrong status: %+v", st)
	}
	if got := s.engine.loads.Load(); got != 2 {
		t.Errorf("%d loads, want 2", got)
	}
	if got := s.engine.open.Load(); got != 1 {
		t.Errorf("%d sessions are open, want 1: the old one must be closed", got)
	}
	// Going back is one more activation.
	if err := a.Activate(t.Context(), v1); err != nil {
		t.Fatal(err)
	}
	mustServe(t, a, "1", "good one")
	if st := status(t, a); *st.Previous != v2.Release {
		t.Errorf("previous is %+v, want version 2", st.Previous)
	}
}

func TestActivateRefusesMalformedCandidates(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	for name, change := range map[string]func(*Candidate){
		"no model":        func(c *Candidate) { c.Model = "" },
		"no release":      func(c *Candidate) { c.Release.Release = "" },
		"no Verify":       func(c *Candidate) { c.Verify = nil },
		"relative folder": func(c *Candidate) { c.Dir = "models" },
		"entry outside":   func(c *Candidate) { c.Entry = "../1/model.onnx" },
		"absolute entry":  func(c *Candidate) { c.Entry = c.Path() },
		"endless name":    func(c *Candidate) { c.Version = strings.Repeat("9", 1<<20) },
	} {
		c := s.candidate(t, "1", "good")
		change(&c)
		if err := a.Activate(t.Context(), c); !errors.Is(err, ErrCandidate) {
			t.Errorf("%s: got %v, want ErrCandidate", name, err)
		}
	}
}

func TestCancelledActivationLeavesNoTrace(t *testing.T) {
	for _, stage := range []Stage{StageVerifying, StageProbing, StageLoading} {
		t.Run(string(stage), func(t *testing.T) {
			s := newSite(t)
			a := s.start(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := s.candidate(t, "1", "good")
			switch stage {
			case StageVerifying:
				c.Verify = func(ctx context.Context) error { cancel(); return ctx.Err() }
			case StageProbing:
				a.cfg.Prober = proberFunc(func(ctx context.Context, _ string) error { cancel(); return ctx.Err() })
			case StageLoading:
				s.engine.onLoad = cancel
			}
			if err := a.Activate(ctx, c); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want context.Canceled", err)
			}
			if all := a.Status(); len(all) != 0 {
				t.Errorf("something is recorded: %+v", all)
			}
			if models, err := readState(s.state); err != nil || len(models) != 0 {
				t.Errorf("something is on disk: %+v, %v", models, err)
			}
		})
	}
}

func TestCloseEndsTheActivationUnderWay(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	c := s.candidate(t, "1", "good")
	started := make(chan struct{})
	c.Verify = func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Activate(t.Context(), c); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	<-started
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := a.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"Activate":   a.Activate(ctx, c),
		"Deactivate": a.Deactivate(ctx, "acme/vad"),
	} {
		if err == nil {
			t.Errorf("%s works after Close", name)
		}
	}
	if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); !errors.Is(err, ErrClosed) {
		t.Errorf("Infer: got %v, want ErrClosed", err)
	}
}

func TestDeactivate(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	if err := a.Deactivate(t.Context(), "acme/unknown"); err != nil {
		t.Errorf("unknown model: %v", err)
	}
	if err := a.Activate(t.Context(), s.candidate(t, "1", "good")); err != nil {
		t.Fatal(err)
	}
	if err := a.Deactivate(t.Context(), "acme/vad"); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Active("acme/vad"); ok || len(a.Status()) != 0 || s.engine.open.Load() != 0 {
		t.Error("it is still there")
	}
	again := s.start(t)
	if err := again.Restore(t.Context(), s.resolve); err != nil || len(again.Status()) != 0 {
		t.Errorf("it came back: %v, %+v", err, again.Status())
	}
}

// TestActivatorAgainstAModel compares any sequence of operations, restarts
// among them, with the obvious model.
func TestActivatorAgainstAModel(t *testing.T) {
	s := newSite(t)
	contents := map[string]string{"1": "good 1", "2": "good 2", "3": "bad", "4": "good 4"}
	candidates := map[string]Candidate{}
	for v, content := range contents {
		candidates[v] = s.candidate(t, v, content)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s.state = filepath.Join(t.TempDir(), "state")
		a := s.start(t)
		active, previous := "", ""
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch op := rapid.SampledFrom([]string{"activate", "activate", "activate", "restart", "deactivate"}).Draw(rt, "op"); op {
			case "activate":
				v := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "version")
				err := a.Activate(t.Context(), candidates[v])
				if (err == nil) != (v != "3") {
					rt.Fatalf("version %s: %v", v, err)
				}
				if v != "3" && v != active {
					active, previous = v, active
				}
			case "restart":
				if err := a.Close(); err != nil {
					rt.Fatal(err)
				}
				a = s.start(t)
				if err := a.Restore(t.Context(), s.resolve); err != nil {
					rt.Fatal(err)
				}
			case "deactivate":
				if err := a.Deactivate(t.Context(), "acme/vad"); err != nil {
					rt.Fatal(err)
				}
				active, previous = "", ""
			}
			info, ok := a.Active("acme/vad")
			if ok != (active != "") || info.Version != active {
				rt.Fatalf("version %q is active, want %q", info.Version, active)
			}
			for _, st := range a.Status() {
				if (st.Previous != nil) != (previous != "") || previous != "" && st.Previous.Version != previous {
					rt.Fatalf("previous is %+v, want %q", st.Previous, previous)
				}
			}
		}
		if err := a.Close(); err != nil {
			rt.Fatal(err)
		}
		if open := s.engine.open.Load(); open != 0 {
			rt.Fatalf("%d sessions were left open", open)
		}
	})
}
