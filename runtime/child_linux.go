package runtime

import (
	"os/exec"
	"runtime"
	"syscall"
)

// runWithParent runs cmd such that it is killed when this process ends, even
// by kill -9. The kernel sends that signal when the thread that started the
// child ends (prctl(2), PR_SET_PDEATHSIG), so the thread is kept.
func runWithParent(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}
