package limit

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

const (
	canWatch = true
	canNice  = true
)

// prepare is called on the thread that will start cmd, and on no other: on
// Linux niceness belongs to a thread, and a child begins with that of the
// thread that started it, so it has no moment at which it is not lowered.
func prepare(cmd *exec.Cmd, l Limits) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // prctl(2), PR_SET_PDEATHSIG
	if l.Nice == 0 {
		return nil
	}
	// The system call gives 20 minus the niceness, setpriority(2).
	raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return fmt.Errorf("read niceness: %w", err)
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(20-raw+l.Nice, MaxNice)); err != nil {
		return fmt.Errorf("set niceness: %w", err)
	}
	return nil
}

// oomScore is how much rather the kernel kills a child than a process that
// takes as much memory, in thousandths of all memory.
const oomScore = 500

// settle tells the kernel whom to kill when memory runs out. It raises a score,
// which needs no right; where it fails, the child may be gone already, or /proc
// is not there, and the kernel decides alone.
func settle(pid int, _ Limits) {
	_ = os.WriteFile(procFile(pid, "oom_score_adj"), []byte(strconv.Itoa(oomScore)), 0)
}

// memoryOf reads what a process takes.
func memoryOf(pid int) Memory {
	text, err := os.ReadFile(procFile(pid, "status"))
	if err != nil { // gone
		return Memory{}
	}
	return parseStatus(text)
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
