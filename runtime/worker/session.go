//go:build unix

package worker

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// session is a model, loaded by one worker after the other.
type session struct {
	cfg    Config
	path   string
	sig    modelrt.Signature
	cancel context.CancelFunc // stops supervise
	joined sync.WaitGroup     // supervise

	mu      sync.Mutex
	process *process      // nil while none is ready
	changed chan struct{} // closed when process, row or closed change
	row     int           // workers that failed one after the other
	last    error         // why the last one did, as a run is told
	next    time.Time     // when another one is started
	closed  bool
	seen    modelrt.Worker // counters, and the last crash
}

func newSession(cfg Config, path string, p *process) *session {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{cfg: cfg, path: path, sig: p.sig, cancel: cancel, process: p, changed: make(chan struct{})}
	s.joined.Go(func() { s.supervise(ctx, p) })
	return s
}

// Signature is what the first worker said; later ones must say the same.
func (s *session) Signature() modelrt.Signature { return s.sig }

// Run has the worker run the model, see runtime.Session. While a worker is being
// started in place of one that crashed it waits, unless several have crashed one
// after the other.
func (s *session) Run(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	if err := s.sig.CheckInputs(inputs); err != nil {
		return nil, err
	}
	var total int64
	for name, t := range inputs {
		if total += int64(len(t.Data)); int64(len(t.Data)) > modelrt.MaxTensorBytes || total > maxTensorsBytes {
			return nil, fmt.Errorf("%w: input %q is too large for a worker", modelrt.ErrInput, name)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	return p.infer(ctx, inputs)
}

// maxRow is how many workers may fail one after the other before requests are
// not kept waiting for the next one.
const maxRow = 4

// ready returns the worker, once there is one.
func (s *session) ready(ctx context.Context) (*process, error) {
	for {
		s.mu.Lock()
		p, changed, row, last, next, closed := s.process, s.changed, s.row, s.last, s.next, s.closed
		s.mu.Unlock()
		switch {
		case closed:
			return nil, fmt.Errorf("run: session %w", modelrt.ErrClosed)
		case p != nil && !p.gone():
			return p, nil
		case row >= maxRow:
			return nil, fmt.Errorf("%w (%d in a row, the next try is in %s)", last, row, max(0, time.Until(next)).Round(time.Second/10))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// change changes what ready looks at.
func (s *session) change(by func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Worker implements runtime.Supervised.
func (s *session) Worker() modelrt.Worker {
	s.mu.Lock()
	w, p := s.seen, s.process
	s.mu.Unlock()
	if p != nil {
		w.PID, w.Since, w.ResidentBytes = p.child.PID(), p.since, p.child.Memory().Resident
	}
	return w
}

// Close has the worker go. A second call does nothing.
func (s *session) Close() error {
	s.cancel()
	s.joined.Wait()
	return nil
}

// When a worker is started in place of one that failed.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 30 * time.Second
	healthy    = time.Minute // a worker that lived so long begins a new row
)

// delay is how long to wait after this many failures in a row.
func delay(row int) time.Duration {
	if row > 16 {
		return maxDelay
	}
	return min(firstDelay<<max(row-1, 0), maxDelay)
}

// supervise starts a new worker whenever one ends, until ctx ends; then it
// closes the last one.
func (s *session) supervise(ctx context.Context, p *process) {
	for {
		select {
		case <-p.dead:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		p.close()
		s.failed(p.err, time.Since(p.since) >= healthy)
		if p = s.restart(ctx); p == nil {
			break
		}
	}
	s.change(func() { s.process, s.closed = nil, true })
	if p != nil {
		p.close()
	}
}

// failed notes that a worker ended, or could not be started.
func (s *session) failed(err error, afterLong bool) {
	s.change(func() {
		if s.process = nil; afterLong {
			s.row = 0
		}
		s.row++
		s.last, s.next = err, time.Now().Add(delay(s.row))
		s.seen.Crashes++
		s.seen.LastCrash, s.seen.LastCrashAt = err.Error(), time.Now().UTC()
	})
	s.cfg.Logger.Warn("worker failed", slog.String("path", s.path), slog.Int("in_a_row", s.row), slog.Duration("next_try_in", delay(s.row)), slog.Any("error", err))
}

// restart starts a worker, after as many tries as it takes; nil once ctx ends.
func (s *session) restart(ctx context.Context) *process {
	for {
		timer := time.NewTimer(time.Until(s.next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		p, loaded, err := start(ctx, s.cfg, s.path)
		if err == nil && !reflect.DeepEqual(loaded.Signature, s.sig) {
			p.close()
			err = fmt.Errorf("%w: %s has another signature than before: load it anew", modelrt.ErrLoad, s.path)
		}
		switch {
		case ctx.Err() != nil:
			if err == nil {
				p.close()
			}
			return nil
		case err != nil:
			s.failed(fmt.Errorf("%w: %w: not started again: %w", modelrt.ErrRun, modelrt.ErrWorker, err), false)
			continue
		}
		s.change(func() {
			s.process = p
			s.seen.Restarts++
		})
		s.cfg.Logger.Info("worker started again", slog.String("path", s.path), slog.Int("pid", p.child.PID()))
		return p
	}
}
