package testnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
)

const (
	startPatience = 60 * time.Second // a home may have to be recovered, a model loaded
	stopPatience  = 15 * time.Second
	untilPatience = 2 * time.Minute
	pollInterval  = 10 * time.Millisecond
)

// Node is one node of a fleet. Start, Stop and Kill are for one goroutine at a
// time; everything else is safe for concurrent use.
type Node struct {
	Name string
	Dir  string // its home

	fleet *Fleet
	exec  []string // words in front of the command that runs it

	mu   sync.Mutex // owns what follows
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has ended
	exit error
}

// ExitError is a command of the binary that failed.
type ExitError struct {
	Node, Command string
	Code          int
	Stderr        string
}

// Error tells what failed and what it said.
func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: dunlin %s: exit code %d: %s", e.Node, e.Command, e.Code, strings.TrimSpace(e.Stderr))
}

// Run runs one command in the node's home and returns its standard output; a
// failure is an *[ExitError].
func (n *Node) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.fleet.binary, append([]string{"--dir", n.Dir}, args...)...)
	cmd.Env = append(os.Environ(), n.fleet.env...)
	var out, story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.Bytes(), &ExitError{Node: n.Name, Command: strings.Join(args, " "), Code: exit.ExitCode(), Stderr: story.String()}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: dunlin %s: %w", n.Name, strings.Join(args, " "), err)
	}
	return out.Bytes(), nil
}

// JSON runs one command with --json and reads its answer into v.
func (n *Node) JSON(ctx context.Context, v any, args ...string) error {
	out, err := n.Run(ctx, append([]string{"--json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("%s: dunlin %s: answer is no JSON: %w", n.Name, strings.Join(args, " "), err)
	}
	return nil
}

// Start runs `dunlin up` and returns once the node answers. What it logs is
// appended to up.log in its home.
func (n *Node) Start(ctx context.Context) (err error) {
	log, err := os.OpenFile(filepath.Join(n.Dir, "up.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	words := append(slices.Clone(n.exec), n.fleet.binary, "--dir", n.Dir, "-v", "up")
	cmd := exec.Command(words[0], words[1:]...) //nolint:noctx // it outlives this call; Stop and Kill end it
	cmd.Env = append(os.Environ(), n.fleet.env...)
	cmd.Stderr = log
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	done := make(chan struct{})
	n.mu.Lock()
	n.cmd, n.done, n.exit = cmd, done, nil
	n.mu.Unlock()
	go func() {
		exit := cmd.Wait()
		n.mu.Lock()
		n.exit = exit
		n.mu.Unlock()
		close(done)
	}()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return n.Until(ctx, "it answers", func(s api.Status) bool { return s.Running })
}

// Until asks the running node for its status until want is true of it, for two
// minutes at most.
func (n *Node) Until(ctx context.Context, what string, want func(api.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, untilPatience)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if c, ok := api.Dial(ctx, n.Dir); ok {
			var s api.Status
			if err := c.Call(ctx, "status", nil, &s, nil); err == nil && want(s) {
				return nil
			}
		}
		n.mu.Lock()
		done := n.done
		n.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: waiting until %s: %w; its log ends:\n%s", n.Name, what, ctx.Err(), n.LogTail())
		case <-done:
			return fmt.Errorf("%s: waiting until %s: the node ended: %w; its log ends:\n%s", n.Name, what, n.exit, n.LogTail())
		case <-tick.C:
		}
	}
}

// Status asks the running node.
func (n *Node) Status(ctx context.Context) (s api.Status, err error) {
	c, ok := api.Dial(ctx, n.Dir)
	if !ok {
		return s, fmt.Errorf("%s does not run", n.Name)
	}
	err = c.Call(ctx, "status", nil, &s, nil)
	return s, err
}

// PID returns the process ID of the running node, 0 if it does not run.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil || n.cmd.Process == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// Stop interrupts the node as an operator would, and waits until it has ended.
// A node that does not run is left alone.
func (n *Node) Stop() error { return n.end(syscall.SIGTERM) }

// Kill ends the node as a crash would, kill -9, and waits until it has ended.
func (n *Node) Kill() error { return n.end(syscall.SIGKILL) }

func (n *Node) end(signal syscall.Signal) error {
	n.mu.Lock()
	cmd, done := n.cmd, n.done
	n.cmd = nil
	n.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", n.Name, err)
	}
	select {
	case <-done:
	case <-time.After(stopPatience):
		err := cmd.Process.Kill()
		<-done
		return errors.Join(fmt.Errorf("%s did not stop within %s and was killed; its log ends:\n%s", n.Name, stopPatience, n.LogTail()), err)
	}
	if signal == syscall.SIGTERM && n.exit != nil {
		return fmt.Errorf("%s stopped badly: %w; its log ends:\n%s", n.Name, n.exit, n.LogTail())
	}
	return nil
}

// LogTail returns the last lines of the node's log.
func (n *Node) LogTail() string {
	data, err := os.ReadFile(filepath.Join(n.Dir, "up.log"))
	if err != nil {
		return err.Error()
	}
	const most = 4000
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return string(data)
}
