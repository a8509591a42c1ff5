package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// served2 is a site on which version 1 was active, then version 2.
func served2(t *testing.T) (s *site, v1, v2 Candidate) {
	t.Helper()
	s = newSite(t)
	a := s.start(t)
	v1, v2 = s.candidate(t, "1", "good one"), s.candidate(t, "2", "good two")
	for _, c := range []Candidate{v1, v2} {
		if err := a.Activate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return s, v1, v2
}

func TestRestoreBringsBackTheActiveOne(t *testing.T) {
	s, v1, v2 := served2(t)
	a := s.start(t)
	if _, ok := a.Active("acme/vad"); ok {
		t.Error("it serves before Restore")
	}
	for range 2 { // the second changes nothing
		if err := a.Restore(t.Context(), s.resolve); err != nil {
			t.Fatal(err)
		}
	}
	mustServe(t, a, "2", "good two")
	if st := status(t, a); *st.Recorded != v2.Release || *st.Previous != v1.Release || st.Pending != nil {
		t.Errorf("wrong status: %+v", st)
	}
	if models, err := readState(s.state); err != nil || models["acme/vad"].Pending != nil {
		t.Errorf("the journal is not cleared: %+v, %v", models, err)
	}
}

func TestRestoreFollowsFilesThatMoved(t *testing.T) {
	s, _, v2 := served2(t)
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(v2.Dir, moved); err != nil {
		t.Fatal(err)
	}
	a := s.start(t)
	err := a.Restore(t.Context(), func(_ context.Context, r Release) (Candidate, error) {
		r.Dir = moved
		return s.resolved(r), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustServe(t, a, "2", "good two")
	if st := status(t, a); st.Recorded.Dir != moved {
		t.Errorf("recorded folder is %s, want %s", st.Recorded.Dir, moved)
	}
}

func TestRestoreGoesBackToThePrevious(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, s *site, v2 Candidate) Resolve{
		"files are gone": func(t *testing.T, s *site, v2 Candidate) Resolve {
			if err := os.RemoveAll(v2.Dir); err != nil {
				t.Fatal(err)
			}
			return s.resolve
		},
		"files are not loadable": func(t *testing.T, s *site, v2 Candidate) Resolve {
			if err := os.WriteFile(v2.Path(), []byte("bad"), 0o644); err != nil {
				t.Fatal(err)
			}
			return s.resolve
		},
		"nobody knows it": func(_ *testing.T, s *site, v2 Candidate) Resolve {
			return func(ctx context.Context, r Release) (Candidate, error) {
				if r.Same(v2.Release) {
					return Candidate{}, errors.New("no such release")
				}
				return s.resolve(ctx, r)
			}
		},
		"another release in its place": func(_ *testing.T, s *site, _ Candidate) Resolve {
			return func(ctx context.Context, r Release) (Candidate, error) {
				r.Release = "cid-1"
				return s.resolve(ctx, r)
			}
		},
		"it crashes the probe": func(_ *testing.T, s *site, v2 Candidate) Resolve {
			s.prober = proberFunc(func(_ context.Context, path string) error {
				if path == v2.Path() {
					return ErrProbe
				}
				return nil
			})
			return s.resolve
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, v1, v2 := served2(t)
			resolve := spoil(t, s, v2)
			a := s.start(t)
			if err := a.Restore(t.Context(), resolve); err != nil {
				t.Fatalf("the model serves, but: %v", err)
			}
			mustServe(t, a, "1", "good one")
			st := status(t, a)
			if *st.Recorded != v1.Release || st.Previous != nil || len(st.Failed) != 1 || st.Failed[0].Version != "2" {
				t.Errorf("wrong status: %+v", st)
			}
		})
	}
}

func TestRestoreKeepsWhatItCannotBringBack(t *testing.T) {
	s, v1, v2 := served2(t)
	lost := func(context.Context, Release) (Candidate, error) {
		return Candidate{}, errors.New("disk is not mounted")
	}
	a := s.start(t)
	if err := a.Restore(t.Context(), lost); err == nil {
		t.Error("no error, though nothing serves")
	}
	if st := status(t, a); st.Active != nil || *st.Recorded != v2.Release || *st.Previous != v1.Release {
		t.Errorf("wrong status: %+v", st)
	}
	again := s.start(t)
	if err := again.Restore(t.Context(), s.resolve); err != nil {
		t.Fatal(err)
	}
	mustServe(t, again, "2", "good two")
}

func TestRestoreWithoutARuntime(t *testing.T) {
	s, v1, v2 := served2(t)
	s.engine.reason = "no library"
	a := s.start(t)
	if err := a.Restore(t.Context(), s.resolve); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("got %v, want ErrNoRuntime", err)
	}
	if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); !errors.Is(err, ErrNoRuntime) || !errors.Is(err, ErrNotActive) {
		t.Errorf("got %v, want ErrNotActive because of ErrNoRuntime", err)
	}
	s.engine.reason = ""
	again := s.start(t)
	if err := again.Restore(t.Context(), s.resolve); err != nil {
		t.Fatal(err)
	}
	if st := status(t, again); st.Active.Release != v2.Release || *st.Previous != v1.Release {
		t.Errorf("wrong status: %+v", st)
	}
}

// TestRestoreOnAFullDisk is Law 6 for a restart.
func TestRestoreOnAFullDisk(t *testing.T) {
	s, _, _ := served2(t)
	a := s.start(t)
	_ = failWrites(a, 0)
	if err := a.Restore(t.Context(), s.resolve); err != nil {
		t.Fatal(err)
	}
	mustServe(t, a, "2", "good two")
}

func TestRestoreServesTheOthers(t *testing.T) {
	s := newSite(t)
	a := s.start(t)
	for i := range 3 {
		c := s.candidate(t, fmt.Sprint(i), "good")
		c.Model = fmt.Sprintf("acme/m%d", i)
		if err := a.Activate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(s.files, "1")); err != nil {
		t.Fatal(err)
	}
	again := s.start(t)
	if err := again.Restore(t.Context(), s.resolve); err == nil {
		t.Error("no error for acme/m1")
	}
	for i, want := range []bool{true, false, true} {
		if _, ok := again.Active(fmt.Sprintf("acme/m%d", i)); ok != want {
			t.Errorf("acme/m%d serves: %v, want %v", i, ok, want)
		}
	}
}

func TestCancelledRestoreChangesNothing(t *testing.T) {
	s, _, _ := served2(t)
	before, err := os.ReadFile(filepath.Join(s.state, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.engine.onLoad = cancel
	a := s.start(t)
	if err := a.Restore(ctx, s.resolve); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if after, err := os.ReadFile(filepath.Join(s.state, stateFile)); err != nil || string(after) != string(before) {
		t.Errorf("state was %s, is %s, %v", before, after, err)
	}
}
