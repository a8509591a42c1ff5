package batch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// verdict says whether requests of a session may be put together.
type verdict int

const (
	unproven verdict = iota
	proven
	never
)

// session is a session with a queue before it.
type session struct {
	inner  modelrt.Session
	cfg    Config
	budget *budget
	log    *slog.Logger
	groups sync.WaitGroup // goroutines of groups

	mu      sync.Mutex
	running int        // runs under way, at most cfg.Concurrency
	queue   []*request // who waits, oldest first
	timer   *time.Timer
	verdict verdict
	proving bool // a pair is being run alone and together
	agreed  int  // pairs that agreed
}

// request is one Run that waits, or is part of a group.
type request struct {
	ctx     context.Context //nolint:containedctx // a request is a Run that waits, and Run has it as its argument
	inputs  map[string]modelrt.Tensor
	rows    int64  // size of the first dimension of every input, 0 if they differ
	shape   string // of all other dimensions
	arrived time.Time

	turn  chan struct{} // closed once it is out of the queue and may run
	group *group        // of which it is a part then, nil if it runs alone
	done  chan result   // of its group, holds one
}

type result struct {
	outputs map[string]modelrt.Tensor
	err     error
}

func (s *session) Signature() modelrt.Signature { return s.inner.Signature() }

// Unwrap returns the session that the queue stands before, so that its worker
// can be told of.
func (s *session) Unwrap() modelrt.Session { return s.inner }

// Close waits for batches whose requests have left, and closes the model.
func (s *session) Close() error {
	s.groups.Wait()
	return s.inner.Close()
}

// Run waits for its turn and runs, alone or with others.
func (s *session) Run(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Signature().CheckInputs(inputs); err != nil {
		return nil, err
	}
	size := totalBytes(inputs)
	if size > s.cfg.MaxBytes {
		return nil, fmt.Errorf("%w: inputs take %d bytes, this node allows %d in flight", modelrt.ErrInput, size, s.cfg.MaxBytes)
	}
	if !s.budget.take(size) {
		return nil, fmt.Errorf("%w: inputs of all requests in flight would take over %d bytes", modelrt.ErrOverloaded, s.cfg.MaxBytes)
	}
	defer s.budget.give(size)
	r, err := s.enter(ctx, inputs)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return s.runAlone(ctx, inputs)
	}
	return s.await(r)
}

// enter takes a free run, or else a place in the queue, which it returns.
func (s *session) enter(ctx context.Context, inputs map[string]modelrt.Tensor) (*request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waits := s.verdict == proven && s.cfg.Delay > 0
	if s.running < s.cfg.Concurrency && len(s.queue) == 0 && !waits {
		s.running++
		return nil, nil
	}
	if len(s.queue) >= s.cfg.Queue {
		return nil, fmt.Errorf("%w: %d requests wait for this model already", modelrt.ErrOverloaded, len(s.queue))
	}
	r := &request{ctx: ctx, inputs: inputs, arrived: time.Now(), turn: make(chan struct{}), done: make(chan result, 1)}
	if s.verdict != never {
		r.rows, r.shape = shapeKey(s.Signature().Inputs, inputs)
	}
	s.queue = append(s.queue, r)
	s.dispatch()
	return r, nil
}

// await waits for r's turn, and for its answer.
func (s *session) await(r *request) (map[string]modelrt.Tensor, error) {
	select {
	case <-r.turn:
	case <-r.ctx.Done():
		if s.leave(r) {
			return nil, r.ctx.Err()
		}
	}
	if r.group == nil {
		return s.runAlone(r.ctx, r.inputs)
	}
	select {
	case got := <-r.done:
		return got.outputs, got.err
	case <-r.ctx.Done():
		<-r.group.copied // the inputs are the caller's again
		return nil, r.ctx.Err()
	}
}

// leave takes r out of the queue, unless its turn has come.
func (s *session) leave(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.queue, r)
	if at < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, at, at+1)
	s.dispatch() // who stands behind may fit together otherwise
	return true
}

// runAlone runs in a run that the caller has taken.
func (s *session) runAlone(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	defer s.free()
	return s.inner.Run(ctx, inputs)
}

// free gives a run back.
func (s *session) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.dispatch()
}

func totalBytes(inputs map[string]modelrt.Tensor) int64 {
	var n int64
	for _, t := range inputs {
		n += int64(len(t.Data))
	}
	return n
}

// shapeKey returns the common size of the first dimension, 0 if there is none,
// and a text of all other sizes in the order of ports.
func shapeKey(ports []modelrt.Port, inputs map[string]modelrt.Tensor) (int64, string) {
	rows := inputs[ports[0].Name].Shape[0]
	var key []byte
	for _, p := range ports {
		shape := inputs[p.Name].Shape
		if shape[0] != rows {
			return 0, ""
		}
		for _, n := range shape[1:] {
			key = strconv.AppendInt(append(key, ','), n, 10)
		}
		key = append(key, ';')
	}
	return rows, string(key)
}
