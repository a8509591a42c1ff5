//go:build unix

package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
	"github.com/dunlin-mesh/dunlin/runtime/worker"
)

// TestMain makes the test binary the processes that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case worker.Argument:
			os.Exit(worker.Main(context.Background(), workerEngine(os.Args[2:]), os.Stderr))
		case "node":
			os.Exit(beNode(os.Args[2], os.Args[3]))
		}
	}
	os.Exit(m.Run())
}

// misbehaving is the engine of the workers that tests start.
func misbehaving() enginetest.Fake {
	return enginetest.Fake{
		More: map[string]enginetest.Behaviour{
			"echo": func(_ context.Context, x []byte) ([]byte, error) { return x, nil },
			"slow": func(ctx context.Context, x []byte) ([]byte, error) {
				time.Sleep(20 * time.Millisecond)
				return x, ctx.Err()
			},
			"deaf": func(context.Context, []byte) ([]byte, error) { select {} },
			"segv": func(context.Context, []byte) ([]byte, error) {
				if err := syscall.Kill(os.Getpid(), syscall.SIGSEGV); err != nil {
					return nil, err
				}
				select {} // until the signal arrives
			},
			"exit":  func(context.Context, []byte) ([]byte, error) { os.Exit(7); return nil, nil },
			"panic": func(context.Context, []byte) ([]byte, error) { panic("deliberate") },
			"spoil": func(context.Context, []byte) ([]byte, error) { return []byte{1, 2, 3}, nil },
			"fail": func(context.Context, []byte) ([]byte, error) {
				return nil, fmt.Errorf("%w: by request", modelrt.ErrRun)
			},
			"babble": func(context.Context, []byte) ([]byte, error) {
				for fd := range 64 {
					if _, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err == nil {
						_, _ = syscall.Write(fd, bytes.Repeat([]byte("what? "), 100))
					}
				}
				select {}
			},
			"hog": func(context.Context, []byte) ([]byte, error) {
				var keep [][]byte
				for range 1024 {
					block := make([]byte, 4<<20)
					for i := 0; i < len(block); i += 4096 {
						block[i] = 1
					}
					keep = append(keep, block)
				}
				return nil, fmt.Errorf("%d blocks", len(keep))
			},
			"crash on load": nil, "hang on load": nil,
		},
		OnLoad: func(name string) error {
			switch name {
			case "crash on load":
				return syscall.Kill(os.Getpid(), syscall.SIGKILL)
			case "hang on load":
				time.Sleep(time.Hour)
			}
			return nil
		},
	}
}

// newEngine returns an engine of workers of this test binary.
func newEngine(tb testing.TB, change func(*worker.Config)) modelrt.Engine {
	tb.Helper()
	cfg := worker.Config{
		Info: modelrt.Info{Name: "fake"}, LoadTimeout: 20 * time.Second, StopTimeout: 300 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	e, err := worker.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// load loads a model of misbehaving.
func load(tb testing.TB, e modelrt.Engine, name string) modelrt.Session {
	tb.Helper()
	return enginetest.Load(tb, e, enginetest.WriteFile(tb, "model", []byte(name)))
}

func workerOf(tb testing.TB, s modelrt.Session) modelrt.Worker {
	tb.Helper()
	supervised, ok := s.(modelrt.Supervised)
	if !ok {
		tb.Fatal("the session does not tell about its worker")
	}
	return supervised.Worker()
}

func TestWorkerConforms(t *testing.T) {
	for name, change := range map[string]func(*worker.Config){
		"as it is":     nil,
		"small arenas": func(c *worker.Config) { c.ArenaBytes = 64 << 10 },
		"one at once":  func(c *worker.Config) { c.MaxConcurrent = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := misbehaving().Subject(t)
			s.Engine = newEngine(t, change)
			enginetest.Run(t, s)
		})
	}
}

func TestInfoSaysHowTensorsTravel(t *testing.T) {
	e := newEngine(t, nil)
	want := "socket"
	if runtime.GOOS == "linux" {
		want = "shared memory"
	}
	if got := e.Info(); got.Worker != want || got.Version != "" {
		t.Errorf("info is %+v, want %s", got, want)
	}
	s := load(t, e, "double")
	if got := e.Info().Version; got != "1" {
		t.Errorf("version is %q, the worker's engine has 1", got)
	}
	if got := s.Signature().Metadata["dunlin.fake"]; got != "yes" {
		t.Errorf("metadata is lost: %q", got)
	}
	w := workerOf(t, s)
	if w.PID == 0 || w.PID == os.Getpid() || w.Crashes+w.Restarts != 0 || runtime.GOOS == "linux" && w.ResidentBytes < 1<<20 {
		t.Errorf("worker is %+v", w)
	}
}

// What a worker does that it must not fails the run that made it do so, with
// an error that says it.
func TestCrashesFailOnlyTheirRun(t *testing.T) {
	for name, want := range map[string]string{
		"segv":   "SIGSEGV",
		"exit":   "worker crashed (exit status 7)",
		"panic":  "deliberate",
		"babble": "worker killed (malformed frame",
	} {
		t.Run(name, func(t *testing.T) {
			s := load(t, newEngine(t, nil), name)
			_, err := s.Run(t.Context(), enginetest.X(1))
			if !errors.Is(err, modelrt.ErrRun) || !errors.Is(err, modelrt.ErrWorker) || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v, want ErrRun, ErrWorker and %q", err, want)
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 4096 {
				t.Errorf("unclean text of %d bytes", len(err.Error()))
			}
			_, _ = s.Run(t.Context(), enginetest.X(1)) // waits for the next worker, and ends it
			if w := workerOf(t, s); w.Crashes < 1 || w.Restarts < 1 || !strings.Contains(w.LastCrash, want) || w.LastCrashAt.IsZero() {
				t.Errorf("worker is %+v", w)
			}
		})
	}
}

func TestFailuresKeepTheWorker(t *testing.T) {
	for name, text := range map[string]string{"spoil": "takes 0 bytes, there are 3", "fail": "model failed while running: by request"} {
		s := load(t, newEngine(t, nil), name)
		_, err := s.Run(t.Context(), enginetest.X(1))
		if !errors.Is(err, modelrt.ErrRun) || errors.Is(err, modelrt.ErrWorker) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", name, err)
		}
		if w := workerOf(t, s); w.PID == 0 || w.Crashes != 0 {
			t.Errorf("%s: worker is %+v", name, w)
		}
	}
}

func TestLoadThatCrashesOrHangs(t *testing.T) {
	e := newEngine(t, func(c *worker.Config) { c.LoadTimeout = 300 * time.Millisecond })
	for name, text := range map[string]string{"crash on load": "worker crashed (signal: killed)", "hang on load": "no model after 300ms"} {
		_, err := e.Load(t.Context(), enginetest.WriteFile(t, "model", []byte(name)))
		if !errors.Is(err, modelrt.ErrLoad) || !errors.Is(err, modelrt.ErrWorker) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %q", name, err, text)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := newEngine(t, nil).Load(ctx, enginetest.WriteFile(t, "model", []byte("hang on load")))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	_, err = newEngine(t, func(c *worker.Config) { c.Executable = "/none/such" }).Load(t.Context(), "/model")
	if !errors.Is(err, modelrt.ErrNoRuntime) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNoRuntime", err)
	}
}

func TestRunThatDoesNotStopEndsTheWorker(t *testing.T) {
	s := load(t, newEngine(t, nil), "deaf")
	first := workerOf(t, s).PID
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, enginetest.X(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	// Another run of the same worker is told why it ended.
	_, err := s.Run(t.Context(), enginetest.X(1))
	if !errors.Is(err, modelrt.ErrWorker) || !strings.Contains(err.Error(), "worker killed (a run did not stop within 300ms)") {
		t.Errorf("got %v", err)
	}
	eventually(t, "a new worker", func() bool { w := workerOf(t, s); return w.PID != 0 && w.PID != first && w.Restarts == 1 })
}

func TestWorkerOverItsMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: only Linux tells what a process takes")
	}
	s := load(t, newEngine(t, func(c *worker.Config) { c.Limits = limit.Limits{MemoryBytes: 128 << 20, Nice: 1} }), "hog")
	_, err := s.Run(t.Context(), enginetest.X(1))
	if !errors.Is(err, modelrt.ErrWorker) || !strings.Contains(err.Error(), "worker killed (over its memory limit") {
		t.Errorf("got %v", err)
	}
}

func TestWorkerThatKeepsCrashingIsNotWaitedFor(t *testing.T) {
	s := load(t, newEngine(t, nil), "exit")
	var err error
	for range 5 {
		begin := time.Now()
		_, err = s.Run(t.Context(), enginetest.X(1))
		if !errors.Is(err, modelrt.ErrWorker) {
			t.Fatalf("got %v", err)
		}
		if strings.Contains(err.Error(), "4 in a row, the next try is in") {
			if took := time.Since(begin); took > 100*time.Millisecond {
				t.Errorf("the answer took %s", took)
			}
			return
		}
	}
	t.Errorf("after five crashes: %v", err)
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*worker.Config){
		"no info":             func(c *worker.Config) { c.Info.Name = "" },
		"no logger":           func(c *worker.Config) { c.Logger = nil },
		"relative executable": func(c *worker.Config) { c.Executable = "dunlin" },
		"negative timeout":    func(c *worker.Config) { c.StopTimeout = -1 },
		"many runs":           func(c *worker.Config) { c.MaxConcurrent = 1000 },
		"huge arena":          func(c *worker.Config) { c.ArenaBytes = 1 << 40 },
		"tiny memory":         func(c *worker.Config) { c.Limits.MemoryBytes = 1 },
	} {
		cfg := worker.Config{Info: modelrt.Info{Name: "fake"}, Logger: slog.New(slog.DiscardHandler)}
		change(&cfg)
		if _, err := worker.New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen", what)
		}
	}
}
