//go:build unix && !linux

package limit

import "syscall"

const canNice = true

// settle lowers the whole child, whose niceness belongs to the process here. A
// failure means that it is gone already: lowering needs no right.
func settle(pid int, l Limits) {
	if l.Nice == 0 {
		return
	}
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid); err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, pid, min(now+l.Nice, MaxNice))
	}
}
