package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/runtime/watch"
)

// scripted is an engine whose sessions do what their files say: "nan", "fail",
// "slow", or nothing special.
type scripted struct{}

func (*scripted) Info() Info { return Info{Name: "scripted"} }

func (e *scripted) Load(_ context.Context, path string) (Session, error) {
	content, err := os.ReadFile(path)
	if err != nil || string(content) == "broken" {
		return nil, errors.Join(ErrLoad, err)
	}
	return scriptedSession{string(content)}, nil
}

type scriptedSession struct{ does string }

func (scriptedSession) Signature() Signature {
	return Signature{Inputs: []Port{{Name: "x", DType: U8, Shape: []int64{1}}}, Outputs: []Port{{Name: "y", DType: F32, Shape: []int64{1}}}}
}

func (s scriptedSession) Run(context.Context, map[string]Tensor) (map[string]Tensor, error) {
	v := float32(1)
	switch s.does {
	case "nan":
		v = float32(math.NaN())
	case "fail":
		return nil, ErrRun
	case "slow":
		time.Sleep(100 * time.Millisecond)
	default:
		time.Sleep(10 * time.Millisecond)
	}
	return map[string]Tensor{"y": {F32, []int64{1}, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))}}, nil
}

func (scriptedSession) Close() error { return nil }

// soakSite is a machine that watches releases for ten minutes.
type soakSite struct {
	*site
	cfg Config
}

func newSoakSite(t *testing.T) *soakSite {
	s := &soakSite{site: newSite(t)}
	soak := DefaultSoak()
	soak.MinRequests = 20
	s.cfg = Config{StateDir: s.state, Engine: &scripted{}, Prober: s.prober, Logger: discard, Soak: soak, Checker: fakeChecker{}}
	return s
}

// open starts an activator and its Run; stop ends both.
func (s *soakSite) open(t *testing.T) (a *Activator, stop func()) {
	t.Helper()
	a, err := New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Restore(t.Context(), s.resolve); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, s.resolve) }()
	return a, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func ask(t *testing.T, a *Activator, n int) {
	t.Helper()
	for range n {
		if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); err != nil && !errors.Is(err, ErrRun) {
			t.Fatal(err)
		}
	}
}

func activeVersion(t *testing.T, a *Activator) string {
	t.Helper()
	info, ok := a.Active("acme/vad")
	if !ok {
		return ""
	}
	return info.Version
}

// A release that does badly while it is watched is rolled back by itself, is not
// activated again, and its evidence says why; one that does well is committed.
func TestSoak(t *testing.T) {
	for name, c := range map[string]struct {
		does  string
		want  string // version that serves in the end
		class Class
		text  string
	}{
		"well":        {"other", "2", "", ""},
		"nan":         {"nan", "1", ClassContent, "NaN"},
		"failing":     {"fail", "1", ClassContent, "failed"},
		"much slower": {"slow", "1", ClassResource, "slower"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSoakSite(t)
			v1, v2 := s.candidate(t, "1", "fine"), s.candidate(t, "2", c.does)
			synctest.Test(t, func(t *testing.T) {
				a, stop := s.open(t)
				defer stop()
				if err := a.Activate(t.Context(), v1); err != nil {
					t.Fatal(err)
				}
				ask(t, a, 40)
				time.Sleep(11 * time.Minute)
				synctest.Wait()
				if st := status(t, a); st.Soak != nil {
					t.Fatalf("version 1 is not committed: %+v", st.Soak)
				}
				if err := a.Activate(t.Context(), v2); err != nil {
					t.Fatal(err)
				}
				if st := status(t, a); st.Soak == nil || st.Soak.TriesLeft != maxCrashes || st.Soak.Before.Requests != 40 {
					t.Fatalf("version 2 is not watched: %+v", st.Soak)
				}
				ask(t, a, 40)
				synctest.Wait()
				if c.want == "1" && activeVersion(t, a) != "1" {
					t.Fatal("it is not rolled back at once")
				}
				time.Sleep(11 * time.Minute)
				synctest.Wait()
				st := status(t, a)
				if got := activeVersion(t, a); got != c.want || st.Soak != nil || st.Recorded.Version != c.want {
					t.Fatalf("version %s serves: %+v", got, st)
				}
				if c.want == "2" {
					if len(st.Failed) != 0 || st.Previous.Version != "1" {
						t.Errorf("got %+v", st)
					}
					return
				}
				at := st.Failed[0]
				if !at.RolledBack || at.Class != c.class || at.Stage != StageSoaking || !strings.Contains(at.Reason, c.text) {
					t.Errorf("got %+v", at)
				}
				evidence, err := os.ReadFile(filepath.Join(s.state, evidenceDir, at.Evidence))
				if err != nil || !strings.Contains(string(evidence), `"p50_ms"`) {
					t.Errorf("evidence %s, %v", evidence, err)
				}
				if err := a.Activate(t.Context(), v2); !errors.Is(err, ErrQuarantined) {
					t.Errorf("it is activated again: %v", err)
				}
				if err := a.Forgive(t.Context(), "acme/vad"); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(s.state, evidenceDir, at.Evidence)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("evidence outlives what it is about: %v", err)
				}
				if err := a.Activate(t.Context(), v2); err != nil {
					t.Errorf("not even after Forgive: %v", err)
				}
			})
		})
	}
}

// Nothing to go back to: the release is taken out of service, and says why.
func TestSoakOfTheOnlyRelease(t *testing.T) {
	s := newSoakSite(t)
	v1 := s.candidate(t, "1", "nan")
	synctest.Test(t, func(t *testing.T) {
		a, stop := s.open(t)
		defer stop()
		if err := a.Activate(t.Context(), v1); err != nil {
			t.Fatal(err)
		}
		ask(t, a, 1)
		synctest.Wait()
		if _, _, err := a.Infer(t.Context(), "acme/vad", oneByte); !errors.Is(err, ErrNotActive) || !strings.Contains(err.Error(), "NaN") {
			t.Errorf("got %v", err)
		}
	})
}

// An unexpected end of the process while a release is watched costs a try, the
// last one rolls it back; an end on purpose costs none.
func TestRestartsWhileWatched(t *testing.T) {
	s := newSoakSite(t)
	s.cfg.Soak.Tries = 2
	start := func() *Activator {
		a, err := New(s.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Restore(t.Context(), s.resolve); err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := start()
	for _, v := range []string{"1", "2"} {
		if err := a.Activate(t.Context(), s.candidate(t, v, "fine")); err != nil {
			t.Fatal(err)
		}
		if v == "1" { // committed before 2 comes
			a.mu.RLock()
			served := a.serving["acme/vad"]
			a.mu.RUnlock()
			if err := a.commit(served); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 { // on purpose
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = start()
		if st := status(t, a); activeVersion(t, a) != "2" || st.Soak == nil || st.Soak.TriesLeft != 2 {
			t.Fatalf("after an end on purpose: %+v", st)
		}
	}
	a = start() // a crash: the old one is not closed
	if st := status(t, a); activeVersion(t, a) != "2" || st.Soak.TriesLeft != 1 || len(st.Failed) != 1 {
		t.Fatalf("after a crash: %+v", st)
	}
	a = start()
	st := status(t, a)
	if activeVersion(t, a) != "1" || st.Soak != nil || !st.Failed[0].RolledBack || st.Failed[0].Class != ClassEnvironment {
		t.Fatalf("after the last crash: %+v", st)
	}
	if err := a.Activate(t.Context(), s.resolved(st.Failed[0].Release)); !errors.Is(err, ErrQuarantined) {
		t.Errorf("it is activated again: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRollBackByHand(t *testing.T) {
	s := newSoakSite(t)
	s.cfg.Soak = Soak{}
	a, stop := s.open(t)
	defer stop()
	v1, v2, broken := s.candidate(t, "1", "fine"), s.candidate(t, "2", "fine"), s.candidate(t, "0", "broken")
	if err := a.RollBack(t.Context(), v1); !errors.Is(err, ErrNoWayBack) {
		t.Errorf("from nothing: %v", err)
	}
	if err := errors.Join(a.Activate(t.Context(), v1), a.Activate(t.Context(), v2)); err != nil {
		t.Fatal(err)
	}
	if err := a.RollBack(t.Context(), v2); !errors.Is(err, ErrNoWayBack) {
		t.Errorf("to itself: %v", err)
	}
	err := a.RollBack(t.Context(), broken)
	if f, ok := errors.AsType[*Failure](err); !ok || !errors.Is(err, ErrLoad) || f.Release.Version != "0" || activeVersion(t, a) != "2" {
		t.Errorf("to what does not load: %v, %s serves", err, activeVersion(t, a))
	}
	if err := a.RollBack(t.Context(), v1); err != nil {
		t.Fatal(err)
	}
	if st := status(t, a); activeVersion(t, a) != "1" || st.Previous != nil || !st.Failed[0].RolledBack {
		t.Errorf("got %+v", st)
	}
	if err := a.Activate(t.Context(), v2); !errors.Is(err, ErrQuarantined) {
		t.Errorf("it comes back by itself: %v", err)
	}
	if err := a.Activate(t.Context(), s.candidate(t, "3", "fine")); err != nil || activeVersion(t, a) != "3" {
		t.Errorf("a newer one does not take its place: %v", err)
	}
}

// Without memory for two the old release is unloaded first: requests say so, and
// it comes back where the new one fails.
func TestUnloadFirst(t *testing.T) {
	s := newSoakSite(t)
	s.cfg.Soak = Soak{}
	s.cfg.AvailableMemory = func() (uint64, bool) { return 1 << 20, true }
	var a *Activator
	tried := 0
	s.cfg.Prober = proberFunc(func(ctx context.Context, path string) error {
		if filepath.Base(filepath.Dir(path)) == "1" {
			return nil
		}
		tried++
		_, _, err := a.Infer(ctx, "acme/vad", oneByte)
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrNotActive) || status(t, a).Outage == nil {
			t.Errorf("while it is replaced: %v, %+v", err, status(t, a))
		}
		return nil
	})
	a, stop := s.open(t)
	defer stop()
	if err := a.Activate(t.Context(), s.candidate(t, "1", "fine")); err != nil {
		t.Fatal(err)
	}
	if err := a.Activate(t.Context(), s.candidate(t, "2", "broken")); !errors.Is(err, ErrLoad) {
		t.Fatalf("got %v", err)
	}
	if st := status(t, a); activeVersion(t, a) != "1" || st.Outage != nil {
		t.Fatalf("version 1 does not serve again: %+v", st)
	}
	ask(t, a, 1)
	if err := a.Activate(t.Context(), s.candidate(t, "3", "fine")); err != nil || activeVersion(t, a) != "3" || tried != 2 {
		t.Errorf("%v, %s serves", err, activeVersion(t, a))
	}
}

func TestGoldenFailureIsContent(t *testing.T) {
	s := newSoakSite(t)
	s.cfg.Soak, s.cfg.WarmRuns = Soak{}, 3
	s.cfg.Prober = trier{s.cfg.Engine}
	a, stop := s.open(t)
	defer stop()
	v1 := s.candidate(t, "1", "fine")
	v1.Golden = "/golden/passes"
	if err := a.Activate(t.Context(), v1); err != nil {
		t.Fatal(err)
	}
	if info, _ := a.Active("acme/vad"); info.Warm == nil || info.Warm.Runs != 3 || info.Warm.P50Millis < 8 {
		t.Errorf("warm-up: %+v", info.Warm)
	}
	v2 := s.candidate(t, "2", "fine")
	v2.Golden = "/golden/differs"
	err := a.Activate(t.Context(), v2)
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Class != ClassContent || f.Stage != StageGolden || activeVersion(t, a) != "1" {
		t.Fatalf("got %v", err)
	}
	if text, err := os.ReadFile(f.Evidence); err != nil || !strings.Contains(string(text), `"metric": "element"`) {
		t.Errorf("evidence: %s, %v", text, err)
	}
}

// trier is a Prober in this process.
type trier struct{ engine Engine }

func (p trier) Probe(ctx context.Context, t Trial) (Report, error) {
	return try(ctx, p.engine, fakeChecker{}, t, os.Stderr)
}

func TestClasses(t *testing.T) {
	for text, want := range map[string]Class{
		"Protobuf parsing failed":                                   ClassContent,
		"Fatal error: Foo(1) is not a registered function/op":       ClassEnvironment,
		"Could not find an implementation for Conv(11)":             ClassEnvironment,
		"models stamped with official released onnx opset versions": ClassEnvironment,
		"Failed to allocate memory for requested buffer":            ClassResource,
	} {
		if got := classOf(errors.Join(ErrLoad, errors.New(text))); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	for err, want := range map[error]Class{ErrGolden: ClassContent, ErrProbe: ClassContent, ErrVerify: ClassEnvironment, ErrHook: ClassEnvironment, errHung: ClassResource} {
		if got := classOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

func TestSoakIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Soak){
		"negative": func(s *Soak) { s.Duration = -1 }, "endless": func(s *Soak) { s.Duration = 25 * time.Hour },
		"no tries": func(s *Soak) { s.Tries = 0 }, "rate": func(s *Soak) { s.MaxErrorRate = math.NaN() },
		"slowdown": func(s *Soak) { s.MaxSlowdown = 0.5 }, "drift": func(s *Soak) { s.MaxDrift = -1 },
	} {
		s := DefaultSoak()
		if change(&s); s.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	drifted := watch.Summary{Requests: 99, Outputs: map[string]watch.Moments{"y": {N: 9, Mean: 9, Std: 1}}}
	before := watch.Summary{Requests: 99, Outputs: map[string]watch.Moments{"y": {N: 9, Mean: 1, Std: 1}}}
	s := DefaultSoak()
	if err := s.verdict(drifted, before); err != nil {
		t.Errorf("drift counts by default: %v", err)
	}
	s.MaxDrift = 4
	if err := s.verdict(drifted, before); !errors.Is(err, errDrift) {
		t.Errorf("got %v", err)
	}
}
