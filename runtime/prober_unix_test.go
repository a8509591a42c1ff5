//go:build unix

package runtime

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// killSelf ends the process as a broken driver or the kernel does.
func killSelf(sig syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	select {} // until the signal is there
}

// hangInProbe is a process whose probe never ends.
func hangInProbe(pidFile string) {
	p, err := NewProber(ProberConfig{Timeout: time.Hour, Env: []string{"HANG_PID_FILE=" + pidFile}})
	if err == nil {
		_, err = p.Probe(context.Background(), Trial{Path: "/hang"})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestProbeDiesWithItsParent kills the parent with -9 and looks for the child.
func TestProbeDiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: only the Linux kernel ends a child with its parent")
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	parent := exec.CommandContext(t.Context(), os.Args[0], "probe-and-hang", pidFile)
	parent.Stderr = os.Stderr
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	eventually := func(what string, cond func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !cond(); {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not happen", what)
			}
			runtime.Gosched()
		}
	}
	var pid int
	eventually("start of the child", func() bool {
		text, err := os.ReadFile(pidFile)
		if err == nil {
			pid, err = strconv.Atoi(string(text))
		}
		return err == nil
	})
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed, as it should be
	eventually("end of the child", func() bool {
		// A zombie that nobody has waited for yet is dead enough.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || len(stat) > 0 && containsState(stat, 'Z')
	})
}

// containsState tells whether a /proc/PID/stat line has this state: the letter
// after the name in brackets.
func containsState(stat []byte, state byte) bool {
	for i, s := range slices.Backward(stat) {
		if s == ')' {
			return i+2 < len(stat) && stat[i+2] == state
		}
	}
	return false
}
