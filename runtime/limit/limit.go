package limit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
)

// ErrMemory says that a child was killed because it took more memory than it
// was given. Another try makes sense with a larger limit, or less to do.
var ErrMemory = errors.New("over its memory limit")

// MaxNice is the largest niceness.
const MaxNice = 19

// MinMemoryBytes is the smallest memory limit, 16 MiB: less, and no program
// of this size would start.
const MinMemoryBytes = 16 << 20

// Limits bound a child process. The zero value bounds nothing.
type Limits struct {
	// MemoryBytes is how much memory the child may take, see the package
	// comment; 0 for no bound, otherwise at least [MinMemoryBytes].
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Nice is added to the niceness of this process: 0 to 19, which is the
	// least share of the processor.
	Nice int `json:"nice,omitempty"`
}

// Validate refuses values out of range, and with an error that wraps
// errors.ErrUnsupported what this system cannot keep.
func (l Limits) Validate() error {
	switch {
	case l.MemoryBytes != 0 && l.MemoryBytes < MinMemoryBytes:
		return fmt.Errorf("memory limit of %d bytes is under %d", l.MemoryBytes, MinMemoryBytes)
	case l.Nice < 0 || l.Nice > MaxNice:
		return fmt.Errorf("niceness %d is not within 0 and %d", l.Nice, MaxNice)
	case l.MemoryBytes != 0 && !canWatch:
		return fmt.Errorf("a memory limit for a child process on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	case l.Nice != 0 && !canNice:
		return fmt.Errorf("niceness of a child process on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return nil
}

// Memory is what a process takes at one moment, in bytes.
type Memory struct {
	// Resident is what of it lies in memory, mapped files included.
	Resident int64
	// Own is what counts against a limit, see the package comment.
	Own int64
}

// Process is a child process that was started. Safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child is gone
	err  error         // of Wait; read after done
	peak atomic.Int64  // largest Own seen
	over atomic.Int64  // Own when the limit was found to be passed
}

// Run is cmd.Run under l. Besides what cmd.Run returns, its error wraps
// ErrMemory where the limit ended the child.
func Run(cmd *exec.Cmd, l Limits) error {
	p, err := Start(cmd, l)
	if err != nil {
		return err
	}
	return p.Wait()
}

// Start starts cmd under l. The caller must call Wait, and must leave cmd and
// its SysProcAttr alone from now on. A context that cmd was made with kills it.
func Start(cmd *exec.Cmd, l Limits) (*Process, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.live(l, started) // ends with the child; Wait waits for it
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// live is the life of the child, on one thread: the kernel ends the child with
// the thread that started it, so that thread must last, and its niceness is the
// child's.
func (p *Process) live(l Limits, started chan<- error) {
	runtime.LockOSThread() // for ever: a thread of another niceness is not given back
	err := prepare(p.cmd, l)
	if err == nil {
		err = p.cmd.Start()
	}
	if err == nil {
		settle(p.cmd.Process.Pid, l)
	}
	started <- err
	if err != nil {
		return
	}
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if l.MemoryBytes > 0 {
			p.watch(l.MemoryBytes, stop)
		}
	}()
	err = p.cmd.Wait()
	close(stop)
	<-watched
	if used := p.over.Load(); used > 0 {
		err = fmt.Errorf("%w: %d bytes in use, %d allowed: %w", ErrMemory, used, l.MemoryBytes, orEnded(err))
	}
	p.err = err
	close(p.done)
}

// orEnded is err, or what to say of a child that managed to end well before
// it was killed.
func orEnded(err error) error {
	if err == nil {
		return errors.New("it ended at that moment")
	}
	return err
}

// PID returns the child's process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits until the child is gone and returns what cmd.Wait did, with
// ErrMemory around it where the limit ended the child. It may be called again.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Kill kills the child, stopped or not; nothing happens where it is gone.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Memory returns what the child takes now, zeros where it is gone or this
// system does not tell.
func (p *Process) Memory() Memory {
	select {
	case <-p.done:
		return Memory{}
	default:
		return memoryOf(p.cmd.Process.Pid)
	}
}

// PeakBytes returns the most memory that was seen to count against the limit;
// 0 for a child without one.
func (p *Process) PeakBytes() int64 { return p.peak.Load() }
