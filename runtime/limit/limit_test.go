//go:build unix

package limit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// TestMain makes the test binary the child processes that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "hog":
			hog()
		case "sleep":
			fmt.Println("asleep")
			time.Sleep(time.Minute)
			os.Exit(0)
		case "threads":
			threads()
			os.Exit(0)
		case "exit":
			code, err := strconv.Atoi(os.Args[2])
			if err != nil {
				panic(err)
			}
			os.Exit(code)
		case "parent":
			parent()
		}
	}
	os.Exit(m.Run())
}

// hog takes 4 GiB as fast as it can.
func hog() {
	var keep [][]byte
	for range 1024 {
		block := make([]byte, 4<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		keep = append(keep, block)
	}
	fmt.Println(len(keep), "blocks: nobody stopped it")
	os.Exit(0)
}

// threads prints the niceness of eight threads.
func threads() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	together := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			runtime.LockOSThread()
			if i == 7 {
				close(together)
			}
			<-together
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(niceness())
		})
	}
	wg.Wait()
}

// niceness of the calling thread (Linux) or process.
func niceness() int {
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		panic(err)
	}
	if runtime.GOOS == "linux" {
		n = 20 - n // setpriority(2)
	}
	return n
}

// parent starts a child that sleeps, tells its process ID, and waits.
func parent() {
	p, err := limit.Start(exec.Command(os.Args[0], "sleep"), limit.Limits{Nice: 1})
	if err != nil {
		panic(err)
	}
	if os.Args[2] == "stop" {
		if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
			panic(err)
		}
	}
	fmt.Println(p.PID())
	fmt.Println(p.Wait())
	os.Exit(1)
}

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: only Linux tells what a process takes, and ends a child with its parent")
	}
}

func TestChildOverItsMemoryIsKilled(t *testing.T) {
	linuxOnly(t)
	const bound = 128 << 20
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "hog")
	cmd.Stdout = &out
	p, err := limit.Start(cmd, limit.Limits{MemoryBytes: bound})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Wait()
	if !errors.Is(err, limit.ErrMemory) || !strings.Contains(err.Error(), "134217728 allowed: signal: killed") {
		t.Errorf("got %v and %q, want ErrMemory", err, out.String())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
		t.Errorf("the exit cannot be told from %v", err)
	}
	t.Logf("limit %d, killed at %d", int64(bound), p.PeakBytes())
	if p.PeakBytes() > 4*bound {
		t.Errorf("it took %d bytes, over four times the limit", p.PeakBytes())
	}
}

func TestChildWithinItsMemoryIsLeftAlone(t *testing.T) {
	linuxOnly(t)
	if err := limit.Run(exec.CommandContext(t.Context(), os.Args[0], "exit", "0"), limit.Limits{MemoryBytes: 1 << 30}); err != nil {
		t.Error(err)
	}
}

func TestEveryThreadIsNice(t *testing.T) {
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "threads")
	cmd.Stdout = &out
	before := niceness()
	if err := limit.Run(cmd, limit.Limits{Nice: 3}); err != nil {
		t.Fatal(err)
	}
	want := slices.Repeat([]string{strconv.Itoa(min(before+3, limit.MaxNice))}, 8)
	if got := strings.Fields(out.String()); !slices.Equal(got, want) {
		t.Errorf("threads of the child have niceness %v, want %v", got, want)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if got := niceness(); got != before {
		t.Errorf("this process became %d nice, was %d", got, before)
	}
}

func TestRunReportsTheExit(t *testing.T) {
	err := limit.Run(exec.CommandContext(t.Context(), os.Args[0], "exit", "7"), limit.Limits{})
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Errorf("got %v, want exit status 7", err)
	}
	if err := limit.Run(exec.CommandContext(t.Context(), "/none/such"), limit.Limits{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that there is no such program", err)
	}
}

func TestContextEndsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := limit.Start(exec.CommandContext(ctx, os.Args[0], "sleep"), limit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := p.Wait(); err == nil {
		t.Error("the child ended well")
	}
	if err := p.Kill(); err != nil {
		t.Errorf("kill of a child that is gone: %v", err)
	}
	if got := p.Memory(); got != (limit.Memory{}) {
		t.Errorf("a child that is gone takes %+v", got)
	}
}

func TestMemoryOfAChild(t *testing.T) {
	linuxOnly(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "sleep")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := limit.Start(cmd, limit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 16)); err != nil { // it runs
		t.Fatal(err)
	}
	if m := p.Memory(); m.Own <= 0 || m.Own > m.Resident || m.Resident > 1<<30 {
		t.Errorf("a small Go program takes %+v", m)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err == nil {
		t.Error("a killed child ended well")
	}
}

func TestChildEndsWithItsParent(t *testing.T) {
	linuxOnly(t)
	for _, state := range []string{"run", "stop"} {
		t.Run(state, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "parent", state)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var pid int
			if _, err := fmt.Fscan(stdout, &pid); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed, as it should be
			for deadline := time.Now().Add(20 * time.Second); alive(pid); runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal("the child outlives its parent")
				}
			}
		})
	}
}

// alive tells whether a process runs; a zombie that nobody has waited for yet
// does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(stat, []byte(") "))
	return ok && rest[0] != 'Z'
}

func TestLimitsAreChecked(t *testing.T) {
	for name, l := range map[string]limit.Limits{
		"tiny memory":     {MemoryBytes: 1 << 20},
		"negative memory": {MemoryBytes: -1},
		"too nice":        {Nice: 20},
		"not nice":        {Nice: -1},
	} {
		if err := l.Validate(); err == nil {
			t.Errorf("%s is accepted", name)
		}
		if _, err := limit.Start(exec.CommandContext(t.Context(), os.Args[0], "exit", "0"), l); err == nil {
			t.Errorf("%s: the child was started", name)
		}
	}
	if err := (limit.Limits{Nice: 19}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestEnvironHidesSecrets(t *testing.T) {
	t.Setenv("SECRET", "do not pass on")
	t.Setenv("LANG", "C.UTF-8")
	env := limit.Environ()
	if slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, "SECRET=") }) || !slices.Contains(env, "LANG=C.UTF-8") {
		t.Errorf("a child gets %q", env)
	}
}
