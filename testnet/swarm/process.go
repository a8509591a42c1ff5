package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs at a place until it is stopped. What it prints
// is in NAME.log in the place's folder.
type process struct {
	what string
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
}

// patience of stop before a process is killed.
const patience = 10 * time.Second

// command makes a command that runs at a place, in its folder, and ends with
// ctx.
func command(ctx context.Context, p place, env []string, name string, args ...string) *exec.Cmd {
	words := append(append(p.Exec(), name), args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = p.dir
	return cmd
}

// launch starts a program that outlives the call; stop ends it, and the end of
// the lab at the latest.
func launch(p place, env []string, name string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(p.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := command(context.Background(), p, env, name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	if err := errors.Join(err, log.Close()); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", p.name, name, err)
	}
	r := &process{what: p.name + ": " + name, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(r.done)
	}()
	return r, nil
}

// stop ends it and waits; a process that does not listen is killed.
func (r *process) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-r.done:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.done
	}
}

// use tells what it took, running or ended.
func (r *process) use() (use, error) {
	select {
	case <-r.done:
		return endedUse(r.cmd.ProcessState), nil
	default:
		return useOf(r.cmd.Process.Pid)
	}
}

// once runs a program at a place to its end and tells what it took, with its
// children.
func once(ctx context.Context, p place, name string, args ...string) (use, error) {
	cmd := command(ctx, p, nil, name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return use{}, fmt.Errorf("%s: %s: %w: %s", p.name, name, err, strings.TrimSpace(string(out)))
	}
	return endedUse(cmd.ProcessState), nil
}

func endedUse(state *os.ProcessState) (u use) {
	if state == nil {
		return u
	}
	u.CPU = state.UserTime() + state.SystemTime()
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.Peak = int64(r.Maxrss) << 10 // of Linux
	}
	return u
}

// processes are those of a system, by place. Safe for concurrent use.
type processes struct {
	mu      sync.Mutex // owns what follows
	running []*process
	spent   map[string]use // by name of place: what short ones took
}

// launch starts one, to be stopped with the others.
func (ps *processes) launch(p place, env []string, name string, args ...string) (*process, error) {
	r, err := launch(p, env, name, args...)
	if err != nil {
		return nil, err
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.running = append(ps.running, r)
	return r, nil
}

// spend notes what a short process took.
func (ps *processes) spend(p place, u use) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.spent == nil {
		ps.spent = make(map[string]use)
	}
	all := ps.spent[p.name]
	ps.spent[p.name] = use{CPU: all.CPU + u.CPU, Peak: max(all.Peak, u.Peak)}
}

// use sums up by place.
func (ps *processes) use(b *bed) ([]use, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var out []use
	for _, p := range append([]place{b.publisher}, b.takers...) {
		all := ps.spent[p.name]
		all.Name = p.name
		for _, r := range ps.running {
			if !strings.HasPrefix(r.what, p.name+": ") {
				continue
			}
			u, err := r.use()
			if err != nil {
				return nil, err
			}
			all.CPU, all.Peak = all.CPU+u.CPU, max(all.Peak, u.Peak)
		}
		out = append(out, all)
	}
	return out, nil
}

// stop ends all.
func (ps *processes) stop() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var group sync.WaitGroup
	for _, r := range ps.running {
		group.Go(r.stop)
	}
	group.Wait()
	ps.running = nil
}
