//go:build unix

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary the child processes that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case ProbeArgument:
			os.Exit(misbehave(os.Args[2:]))
		case "activate-for-ever":
			fmt.Fprintln(os.Stderr, activateForEver(os.Args[2], os.Args[3]))
			os.Exit(1)
		case "probe-and-hang":
			hangInProbe(os.Args[2])
		}
	}
	os.Exit(m.Run())
}

// misbehave is a probe's child that does what its model file is called.
func misbehave(args []string) int {
	switch filepath.Base(args[0]) {
	case "ok":
		return 0
	case "panic":
		panic("deliberate")
	case "odd-exit":
		return 77
	case "hang":
		if pidFile := os.Getenv("HANG_PID_FILE"); pidFile != "" {
			if err := os.WriteFile(pidFile, fmt.Append(nil, os.Getpid()), 0o600); err != nil {
				return 1
			}
		}
		for {
			time.Sleep(time.Hour)
		}
	case "segv":
		killSelf(syscall.SIGSEGV)
	case "killed":
		killSelf(syscall.SIGKILL)
	case "flood":
		line := strings.Repeat("spam ", 1000)
		fmt.Fprintln(os.Stderr, "first words")
		for range 2000 { // 10 MB
			fmt.Fprintln(os.Stderr, line)
		}
		fmt.Fprintln(os.Stderr, "last words\x1b[31m")
		return 1
	case "env":
		fmt.Fprintf(os.Stderr, "secret=%q extra=%q", os.Getenv("SECRET"), os.Getenv("EXTRA"))
		return 1
	case "no-runtime":
		return ProbeMain(context.Background(), NoEngine(errors.New("no library")), nil, args, os.Stdout, os.Stderr)
	}
	return ProbeMain(context.Background(), &fakeEngine{}, fakeChecker{}, args, os.Stdout, os.Stderr)
}

func newTestProber(t *testing.T, timeout time.Duration) Prober {
	t.Helper()
	p, err := NewProber(ProberConfig{Timeout: timeout, Env: []string{"EXTRA=1"}, MaxStderrBytes: 1024})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProbeReportsWhatTheChildDid(t *testing.T) {
	t.Setenv("SECRET", "do not pass on")
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		want    error // nil: the probe succeeds
		text    string
	}{
		"ok":         {"", nil, ""},
		"good":       {"good", nil, ""},
		"bad":        {"bad", ErrLoad, "not good"},
		"panic":      {"", ErrProbe, "deliberate"},
		"odd-exit":   {"", ErrProbe, "exit status 77"},
		"segv":       {"", ErrProbe, "SIGSEGV"}, // the Go runtime's word for it
		"killed":     {"", ErrProbe, "memory ran out"},
		"flood":      {"", ErrLoad, "first words"},
		"env":        {"", ErrLoad, `secret="" extra="1"`},
		"no-runtime": {"", ErrNoRuntime, "no library"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := newTestProber(t, time.Minute).Probe(t.Context(), Trial{Path: path})
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.text)
			}
			if text := err.Error(); len(text) > 4096 || strings.ContainsAny(text, "\x1b\n") {
				t.Errorf("%d bytes of unclean text: %q", len(text), text)
			}
		})
	}
}

func TestProbeKillsAChildThatHangs(t *testing.T) {
	_, err := newTestProber(t, 300*time.Millisecond).Probe(t.Context(), Trial{Path: "/hang"})
	if !errors.Is(err, ErrProbe) || !strings.Contains(err.Error(), "killed after 300ms") {
		t.Errorf("got %v, want ErrProbe", err)
	}
}

func TestProbeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := newTestProber(t, time.Minute).Probe(ctx, Trial{Path: "/hang"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
}

func TestProbeOfAProgramThatIsNotThere(t *testing.T) {
	p, err := NewProber(ProberConfig{Executable: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Probe(t.Context(), Trial{Path: "/ok"}); !errors.Is(err, ErrProbe) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrProbe", err)
	}
}

func TestProberConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]ProberConfig{
		"relative executable": {Executable: "dunlin"},
		"negative timeout":    {Timeout: -1},
		"endless stderr":      {MaxStderrBytes: 1 << 30},
	} {
		if _, err := NewProber(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestProbeMain(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	for path, content := range map[string]string{good: "good", bad: "bad"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		engine Engine
		args   []string
		want   int
		text   string
	}{
		"loads":            {&fakeEngine{}, []string{good}, probeOK, ""},
		"refused":          {&fakeEngine{}, []string{bad}, probeRefused, "not good"},
		"no arguments":     {&fakeEngine{}, nil, probeUsage, "usage"},
		"no runtime":       {NoEngine(errors.New("no library")), []string{good}, probeNoRuntime, "no library"},
		"zeros do not run": {&fakeEngine{hold: make(chan struct{})}, []string{good}, probeOK, "run on zeros failed"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // for the run that hangs
			defer cancel()
			var stderr strings.Builder
			if got := ProbeMain(ctx, c.engine, nil, c.args, io.Discard, &stderr); got != c.want || !strings.Contains(stderr.String(), c.text) {
				t.Errorf("exit code %d and %q, want %d and %q", got, stderr.String(), c.want, c.text)
			}
			if e, ok := c.engine.(*fakeEngine); ok && e.open.Load() != 0 {
				t.Error("the session was left open")
			}
		})
	}
}
