//go:build unix

package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-mesh/dunlin/internal/excerpt"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// The files that a worker finds open.
const (
	connFD   = 3
	sharedFD = 4 // only where there are arenas
)

// maxStderrBytes is what is kept of a worker's standard error.
const maxStderrBytes = 1 << 10

// start starts a worker and returns it once it has loaded the model at path.
// When ctx or the load timeout ends before that, the worker is killed.
func start(ctx context.Context, cfg Config, path string) (_ *process, _ loadedBody, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.LoadTimeout, fmt.Errorf("%w: %w: worker killed (no model after %s)", modelrt.ErrLoad, modelrt.ErrWorker, cfg.LoadTimeout))
	defer cancel()
	p := &process{
		cfg: cfg, stderr: excerpt.New(maxStderrBytes),
		slots: make(chan struct{}, cfg.MaxConcurrent), dead: make(chan struct{}), runs: make(map[uint64]*run),
	}
	if err := p.spawn(ctx); err != nil {
		return nil, loadedBody{}, fmt.Errorf("%w: start a worker: %w", modelrt.ErrNoRuntime, err)
	}
	r := bufio.NewReaderSize(p.conn, 64<<10)
	loaded, err := p.load(ctx, r, path)
	if err != nil {
		return nil, loadedBody{}, errors.Join(p.notLoaded(ctx, path, err), p.conn.Close(), p.shared.close())
	}
	p.sig, p.since = loaded.Signature, time.Now()
	p.begin(r)
	return p, loaded, nil
}

// notLoaded ends the child and returns why it has not loaded the model.
func (p *process) notLoaded(ctx context.Context, path string, err error) error {
	refusal, refused := errors.AsType[*failure](err)
	if !refused && ctx.Err() == nil && !errors.Is(err, errFrame) {
		select { // it is ending; how, only it can tell
		case <-p.child.Done():
		case <-time.After(exitTime):
		}
	}
	p.kill("its model was not loaded")
	exit := p.child.Wait()
	switch {
	case refused:
		return refusal
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w: while loading %s: %s: %w", modelrt.ErrLoad, modelrt.ErrWorker, path, howEnded("", exit, p.stderr), err)
}

// spawn starts the child, connected. On an error nothing is left.
func (p *process) spawn(ctx context.Context) (err error) {
	conn, theirs, err := connect()
	if err != nil {
		return err
	}
	files := []*os.File{theirs}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		if err != nil && p.child == nil {
			err = errors.Join(err, conn.Close())
			if p.shared != nil {
				err = errors.Join(err, p.shared.close())
			}
		}
	}()
	if p.out, err = newWriter(conn); err != nil {
		return err
	}
	mem, f, err := openShared(p.cfg.ArenaBytes)
	if err != nil {
		return err
	}
	if p.shared = mem; f != nil {
		files = append(files, f)
	}
	// The worker outlives the context of its load.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.cfg.Executable, append([]string{Argument}, p.cfg.Arguments...)...)
	cmd.Env = append(limit.Environ(), p.cfg.Env...)
	cmd.ExtraFiles = files
	cmd.Stderr = p.stderr
	cmd.WaitDelay = exitTime
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which tells workers to go
	p.conn = conn
	p.child, err = limit.Start(cmd, p.cfg.Limits)
	return err
}

// connect makes two connected sockets: ours, and the one to hand to the worker.
func connect() (*net.UnixConn, *os.File, error) {
	syscall.ForkLock.RLock() // no child may inherit them before they are marked
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("connect to a worker: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "worker")
	ours, err := fileConn(fds[0])
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// fileConn makes a connection of a socket, which it takes over.
func fileConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	conn, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("connect to a worker: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connect to a worker: a socket of %s", conn.LocalAddr().Network()), conn.Close())
	}
	return unixConn, nil
}

// load asks for the model and waits for the answer, no longer than ctx.
func (p *process) load(ctx context.Context, r *bufio.Reader, path string) (loadedBody, error) {
	past := time.Unix(1, 0)
	interrupted := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { interrupted <- p.conn.SetDeadline(past) })
	loaded, err := p.exchange(r, path)
	if !stop() {
		return loaded, errors.Join(context.Cause(ctx), <-interrupted)
	}
	return loaded, err
}

func (p *process) exchange(r *bufio.Reader, path string) (loadedBody, error) {
	body, err := json.Marshal(loadBody{Protocol: protocol, Path: path, Arena: p.shared.size})
	if err != nil {
		return loadedBody{}, err
	}
	frame := append(header{kind: kindLoad, body: len(body)}.append(nil), body...)
	if _, err := p.conn.Write(frame); err != nil {
		return loadedBody{}, fmt.Errorf("ask for the model: %w", err)
	}
	h, body, err := readFrame(r)
	if err != nil {
		return loadedBody{}, fmt.Errorf("wait for the model: %w", err)
	}
	switch {
	case h.kind == kindLoaded:
		return decodeLoaded(body)
	case h.kind == kindFailed && h.id == 0:
		refusal, err := decodeFailure(body)
		return loadedBody{}, errors.Join(refusal, err)
	}
	return loadedBody{}, fmt.Errorf("%w: kind %d instead of a model", errFrame, h.kind)
}
