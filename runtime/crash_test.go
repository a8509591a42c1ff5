//go:build unix

package runtime

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// crash is what a test panics with where a process would end.
type crash struct{}

// untilCrash runs do, and tells whether it "crashed".
func untilCrash(t *testing.T, do func()) (crashed bool) {
	t.Helper()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			crashed = true
		default:
			panic(r)
		}
	}()
	do()
	return false
}

// abandoned is an activator whose process is about to crash: it is not closed.
func abandoned(t *testing.T, s *site) *Activator {
	t.Helper()
	a, err := New(Config{StateDir: s.state, Engine: s.engine, Prober: s.prober, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestCrashAtEachStep ends the process at each step of an activation of
// version 2 over version 1, and starts again.
func TestCrashAtEachStep(t *testing.T) {
	beforeWrite := func(n int) func(*site, *Activator, *Candidate) {
		return func(_ *site, a *Activator, _ *Candidate) {
			a.write = func(dir string, models map[string]modelRecord) error {
				if n--; n == 0 {
					panic(crash{})
				}
				return writeState(dir, models)
			}
		}
	}
	afterWrite := func(n int) func(*site, *Activator, *Candidate) {
		return func(_ *site, a *Activator, _ *Candidate) {
			a.write = func(dir string, models map[string]modelRecord) error {
				if err := writeState(dir, models); err != nil {
					return err
				}
				if n--; n == 0 {
					panic(crash{})
				}
				return nil
			}
		}
	}
	for _, c := range []struct {
		name   string
		at     func(*site, *Activator, *Candidate)
		want   string // active after the next start
		failed bool   // version 2 is recorded as failed then
	}{
		{"while verifying", func(_ *site, _ *Activator, c *Candidate) {
			c.Verify = func(context.Context) error { panic(crash{}) }
		}, "1", false},
		{"while probing", func(_ *site, a *Activator, _ *Candidate) {
			a.cfg.Prober = proberFunc(func(context.Context, string) error { panic(crash{}) })
		}, "1", false},
		{"verifying is written", afterWrite(1), "1", false},
		{"probing is written", afterWrite(2), "1", false},
		{"before loading is written", beforeWrite(3), "1", false},
		{"loading is written", afterWrite(3), "1", true},
		{"while loading", func(s *site, _ *Activator, _ *Candidate) { s.engine.onLoad = func() { panic(crash{}) } }, "1", true},
		{"switching is written", afterWrite(4), "1", true},
		{"before the commit point", beforeWrite(5), "1", true},
		{"after the commit point", afterWrite(5), "2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			a := abandoned(t, s)
			if err := a.Activate(t.Context(), s.candidate(t, "1", "good one")); err != nil {
				t.Fatal(err)
			}
			v2 := s.candidate(t, "2", "good two")
			c.at(s, a, &v2)
			if !untilCrash(t, func() {
				if err := a.Activate(t.Context(), v2); err != nil {
					t.Error(err)
				}
			}) {
				t.Fatal("it did not crash")
			}
			s.engine.onLoad = nil
			again := s.start(t)
			if err := again.Restore(t.Context(), s.resolve); err != nil {
				t.Fatal(err)
			}
			mustServe(t, again, c.want, map[string]string{"1": "good one", "2": "good two"}[c.want])
			if st := status(t, again); (len(st.Failed) == 1) != c.failed {
				t.Errorf("failed attempts: %+v, want some: %v", st.Failed, c.failed)
			}
			// It is no dead end: the release can still be activated.
			if err := again.Activate(t.Context(), s.resolved(v2.Release)); err != nil {
				t.Fatal(err)
			}
			mustServe(t, again, "2", "good two")
		})
	}
}

// TestCrashLoopEnds restarts a process that the active release kills whenever
// it is loaded, though it passes the probe.
func TestCrashLoopEnds(t *testing.T) {
	s, _, v2 := served2(t)
	s.engine.onLoad = func() {
		models, err := readState(s.state)
		if err != nil {
			t.Fatal(err)
		}
		if p := models["acme/vad"].Pending; p != nil && p.Same(v2.Release) {
			panic(crash{})
		}
	}
	for start := 1; ; start++ {
		if start > maxCrashes+1 {
			t.Fatal("it still crashes")
		}
		a := abandoned(t, s)
		if untilCrash(t, func() {
			if err := a.Restore(t.Context(), s.resolve); err != nil {
				t.Error(err)
			}
		}) {
			continue
		}
		if start != maxCrashes+1 {
			t.Errorf("given up at start %d, want %d", start, maxCrashes+1)
		}
		mustServe(t, a, "1", "good one")
		if err := a.Activate(t.Context(), s.resolved(v2.Release)); !errors.Is(err, ErrQuarantined) {
			t.Errorf("what was given up is activated again: %v", err)
		}
		break
	}
}

// TestKilledProcesses kills a real process, which activates one version after
// the other, at random moments, and restores what it left.
func TestKilledProcesses(t *testing.T) {
	s := newSite(t)
	for i := range 4 {
		s.candidate(t, fmt.Sprint(i), fmt.Sprintf("good %d", i))
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "activate-for-ever", s.state, s.files)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it has begun
			t.Fatal(err)
		}
		// No wait for a condition: any moment is a good one.
		<-time.After(time.Duration(random.IntN(20_000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be

		a := s.start(t)
		if err := a.Restore(t.Context(), s.resolve); err != nil {
			t.Fatal(err)
		}
		info, ok := a.Active("acme/vad")
		if !ok {
			t.Fatalf("nothing serves: %+v", a.Status())
		}
		mustServe(t, a, info.Version, "good "+info.Version)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// activateForEver is the process that TestKilledProcesses kills.
func activateForEver(stateDir, files string) error {
	s := &site{state: stateDir, files: files, engine: &fakeEngine{}, prober: proberFunc(fine)}
	a, err := New(Config{StateDir: stateDir, Engine: s.engine, Prober: s.prober, Logger: discard})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		v := fmt.Sprint(i % 4)
		r := Release{Model: "acme/vad", Version: v, Release: "cid-" + v, Dir: filepath.Join(files, v), Entry: "model.onnx"}
		if err := a.Activate(context.Background(), s.resolved(r)); err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("begun")
		}
	}
}
