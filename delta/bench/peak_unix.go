//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peakOf returns the resident bytes that an ended process had at most.
func peakOf(state *os.ProcessState) int64 {
	if state == nil {
		return 0
	}
	rusage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(rusage.Maxrss) // bytes there, KiB elsewhere
	}
	return int64(rusage.Maxrss) << 10
}
