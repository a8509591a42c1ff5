//go:build unix

package worker_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
	"github.com/dunlin-mesh/dunlin/runtime/worker"
)

// TestKillUnderLoad kills workers with -9 while eight clients send requests: each
// request either succeeds or fails with the crash's error, and after each kill
// requests succeed again.
func TestKillUnderLoad(t *testing.T) {
	s := load(t, newEngine(t, nil), "slow")
	var done, failed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			in := enginetest.X(make([]float32, 1+client*1000)...)
			for {
				select {
				case <-stop:
					return
				default:
				}
				out, err := s.Run(t.Context(), in)
				switch {
				case err == nil && bytes.Equal(out["y"].Data, in["x"].Data):
					done.Add(1)
				case errors.Is(err, modelrt.ErrRun) && errors.Is(err, modelrt.ErrWorker) && strings.Contains(err.Error(), "worker crashed (signal: killed)"):
					failed.Add(1)
				default:
					t.Errorf("got %v", err)
					return
				}
			}
		})
	}
	const kills = 3
	for k := range kills {
		before := done.Load()
		eventually(t, "requests that succeed", func() bool { return done.Load() > before+16 })
		if err := syscall.Kill(workerOf(t, s).PID, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		eventually(t, "a new worker", func() bool { w := workerOf(t, s); return w.PID != 0 && w.Restarts == k+1 })
	}
	before := done.Load()
	eventually(t, "requests that succeed", func() bool { return done.Load() > before+16 })
	close(stop)
	wg.Wait()
	if failed.Load() == 0 || failed.Load() > 8*kills {
		t.Errorf("%d requests failed, want 1 to %d", failed.Load(), 8*kills)
	}
	if w := workerOf(t, s); w.Crashes != kills {
		t.Errorf("worker is %+v, want %d crashes", w, kills)
	}
}

// TestStoppedWorkerHoldsNoDeadline stops a worker: requests end when their
// contexts do, whatever their size, and the worker is replaced.
func TestStoppedWorkerHoldsNoDeadline(t *testing.T) {
	s := load(t, newEngine(t, func(c *worker.Config) { c.ArenaBytes, c.StopTimeout = 64<<10, 4*time.Second }), "double")
	pid := workerOf(t, s).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			in := enginetest.X(make([]float32, 1+i*200_000)...) // up to 5.6 MB: more than a socket takes
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			// Had it waited for the worker, it would have failed with the worker's end.
			if _, err := s.Run(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	in := enginetest.X(1, 2, 3)
	var out map[string]modelrt.Tensor
	eventually(t, "an answer of another worker", func() bool {
		var err error
		out, err = s.Run(t.Context(), in)
		return err == nil
	})
	enginetest.CheckDouble(t, in, out)
	if w := workerOf(t, s); w.PID == pid || !strings.Contains(w.LastCrash, "did not stop within 4s") {
		t.Errorf("worker is %+v", w)
	}
}

func TestCloseOfAStoppedWorker(t *testing.T) {
	s, err := newEngine(t, nil).Load(t.Context(), enginetest.WriteFile(t, "model", []byte("double")))
	if err != nil {
		t.Fatal(err)
	}
	pid := workerOf(t, s).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Error("the worker outlives its session")
	}
}

// TestCloseWhileTheWorkerIsDown closes between a crash and the next start.
func TestCloseWhileTheWorkerIsDown(t *testing.T) {
	s, err := newEngine(t, nil).Load(t.Context(), enginetest.WriteFile(t, "model", []byte("exit")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), enginetest.X(1)); !errors.Is(err, modelrt.ErrWorker) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if w := workerOf(t, s); w.PID != 0 {
		t.Errorf("worker is %+v after Close", w)
	}
}

// beNode is a process that has a worker, tells its process ID and waits.
func beNode(path, state string) int {
	e, err := worker.New(worker.Config{Info: modelrt.Info{Name: "fake"}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		var s modelrt.Session
		if s, err = e.Load(context.Background(), path); err == nil {
			pid := s.(modelrt.Supervised).Worker().PID
			if state == "stopped" {
				err = syscall.Kill(pid, syscall.SIGSTOP)
			}
			fmt.Println(pid)
			if state == "running" {
				_, err = s.Run(context.Background(), enginetest.X(1)) // for ever
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}

// TestKilledNodeLeavesNoWorker kills the node with -9: workers that rest, run, and
// are stopped go with it.
func TestKilledNodeLeavesNoWorker(t *testing.T) {
	for state, model := range map[string]string{"resting": "double", "running": "deaf", "stopped": "double"} {
		t.Run(state, func(t *testing.T) {
			if state == "stopped" && runtime.GOOS != "linux" {
				t.Skip("SKIP: only the Linux kernel ends a child that is stopped")
			}
			node := exec.CommandContext(t.Context(), os.Args[0], "node", enginetest.WriteFile(t, "model", []byte(model)), state)
			node.Stderr = os.Stderr
			stdout, err := node.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
			var pid int
			if _, err := fmt.Fscan(bufio.NewReader(stdout), &pid); err != nil {
				t.Fatal(err)
			}
			if err := node.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = node.Wait() // killed, as it should be
			eventually(t, "end of the worker", func() bool { return !alive(pid) })
		})
	}
}

// alive tells whether a process runs; a zombie that nobody has waited for yet
// does not.
func alive(pid int) bool {
	if runtime.GOOS != "linux" {
		return syscall.Kill(pid, 0) == nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(stat, []byte(") "))
	return ok && rest[0] != 'Z'
}
