//go:build unix

package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// told is Hooks that note what they are told, and refuse one version.
type told struct {
	seen   []string
	refuse string
}

func (*told) Matches(string) bool { return true }

func (h *told) Switch(_ context.Context, from, to *Release) error {
	before := "none"
	if from != nil {
		before = from.Version
	}
	h.seen = append(h.seen, before+">"+to.Version)
	if to.Version == h.refuse {
		return errors.New("it does not want it")
	}
	return nil
}

// A model of another program: nothing is loaded here, the hooks are told, and
// told back where one fails, or where the process ended before the outcome was
// recorded.
func TestExternal(t *testing.T) {
	s := newSite(t)
	hooks := &told{refuse: "2"}
	cfg := Config{StateDir: s.state, Engine: NoEngine(errors.New("no library")), Prober: s.prober, Logger: discard, Hooks: hooks}
	resolve := func(_ context.Context, r Release) (Candidate, error) {
		c := s.resolved(r)
		c.External = true
		return c, nil
	}
	candidate := func(version string) Candidate {
		c := s.candidate(t, version, "gguf")
		c.External = true
		return c
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Activate(t.Context(), candidate("1")); err != nil {
		t.Fatal(err)
	}
	err = a.Activate(t.Context(), candidate("2"))
	if f, ok := errors.AsType[*Failure](err); !ok || !errors.Is(err, ErrHook) || f.Class != ClassEnvironment {
		t.Errorf("got %v", err)
	}
	if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); !errors.Is(err, ErrNotActive) {
		t.Errorf("a model that is not here runs: %v", err)
	}
	if err := a.Activate(t.Context(), candidate("3")); err != nil {
		t.Fatal(err)
	}
	if err := a.RollBack(t.Context(), candidate("1")); err != nil {
		t.Fatal(err)
	}
	want := []string{"none>1", "1>2", "2>1", "1>3", "3>1"}
	if !slices.Equal(hooks.seen, want) {
		t.Errorf("told %v, want %v", hooks.seen, want)
	}

	// The process ends between the hooks and the commit.
	hooks.seen = nil
	a.write = func(dir string, models map[string]modelRecord) error {
		if r := models["acme/vad"]; r.Active != nil && r.Active.Version == "4" {
			panic(crash{})
		}
		return writeState(dir, models)
	}
	if !untilCrash(t, func() { t.Error(a.Activate(t.Context(), candidate("4"))) }) {
		t.Fatal("it did not crash")
	}
	again, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Restore(t.Context(), resolve); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(hooks.seen) != "[1>4 none>1]" {
		t.Errorf("told %v", hooks.seen)
	}
	if info, ok := again.Active("acme/vad"); !ok || info.Version != "1" || !info.External {
		t.Errorf("active: %+v", info)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
