package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

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

// TestRequestsFinishOnWhatTheyBeganOn holds a request while two activations
// happen around it.
func TestRequestsFinishOnWhatTheyBeganOn(t *testing.T) {
	s := newSite(t)
	v1, v2, v3 := s.candidate(t, "1", "good one"), s.candidate(t, "2", "good two"), s.candidate(t, "3", "good three")
	synctest.Test(t, func(t *testing.T) {
		s.engine.hold = make(chan struct{})
		a, err := New(Config{StateDir: s.state, Engine: s.engine, Prober: s.prober, Logger: discard})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Activate(t.Context(), v1); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			out, info, err := a.Infer(t.Context(), "acme/vad", oneByte)
			if err != nil || info.Version != "1" || string(out["y"].Data) != "good one" {
				t.Errorf("request got %v from version %s, %v", out, info.Version, err)
			}
		})
		synctest.Wait()
		if err := a.Activate(t.Context(), v2); err != nil {
			t.Fatal(err)
		}
		if got := s.engine.open.Load(); got != 2 {
			t.Errorf("%d sessions are open, want 2: version 1 has a request", got)
		}
		// A third session has to wait until the first is closed.
		third := make(chan error, 1)
		wg.Go(func() { third <- a.Activate(t.Context(), v3) })
		synctest.Wait()
		if active, _ := a.Active("acme/vad"); active.Version != "2" {
			t.Errorf("version %s is active, want 2", active.Version)
		}
		if st := a.Status()[0]; st.Pending == nil || st.Pending.Version != "3" || st.PendingStage != StageLoading {
			t.Errorf("wrong status of what is under way: %+v", st)
		}
		close(s.engine.hold)
		wg.Wait()
		if err := <-third; err != nil {
			t.Fatal(err)
		}
		if active, _ := a.Active("acme/vad"); active.Version != "3" {
			t.Errorf("version %s is active, want 3", active.Version)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if open, most := s.engine.open.Load(), s.engine.maxOpen.Load(); open != 0 || most > 2 {
			t.Errorf("%d sessions remain, %d were open at once; want 0 and at most 2", open, most)
		}
	})
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

// TestNoRequestFailsWhileVersionsChange switches 50 times under load.
func TestNoRequestFailsWhileVersionsChange(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	versions := []Candidate{s.candidate(t, "1", "good 1"), s.candidate(t, "2", "good 2"), s.candidate(t, "3", "good 3")}
	if err := a.Activate(t.Context(), versions[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				out, info, err := a.Infer(t.Context(), "acme/vad", oneByte)
				if err != nil || string(out["y"].Data) != "good "+info.Version {
					t.Errorf("got %v, %v", out, err)
					return
				}
				a.Status()
			}
		})
	}
	for i := range 50 {
		if err := a.Activate(t.Context(), versions[(i+1)%len(versions)]); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	if most := s.engine.maxOpen.Load(); most > 2 {
		t.Errorf("%d sessions were open at once, want at most 2", most)
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
