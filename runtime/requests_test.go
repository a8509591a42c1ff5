package runtime

import (
	"sync"
	"testing"
	"testing/synctest"
)

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
