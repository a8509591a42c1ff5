package testnet

import "syscall"

// dieWithParent makes the kernel kill the child when the thread that started it
// ends, so that a killed test leaves nothing behind (prctl(2), PR_SET_PDEATHSIG).
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
