//go:build unix

package runtime

import (
	"os"
	"runtime"
	"syscall"
)

// killed tells whether a process was ended by SIGKILL.
func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// peakBytes returns the most memory that an ended process had in use.
func peakBytes(state *os.ProcessState) int64 {
	if state == nil { // it did not start
		return 0
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" { // bytes there, getrusage(2)
		return usage.Maxrss
	}
	return usage.Maxrss << 10
}
