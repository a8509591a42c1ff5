//go:build unix

package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/excerpt"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// process is one worker that has loaded its model, as this process sees it.
type process struct {
	cfg    Config
	sig    modelrt.Signature
	child  *limit.Process
	conn   *net.UnixConn
	out    *writer
	shared *shared
	stderr *excerpt.Excerpt
	since  time.Time

	slots chan struct{} // holds a token per run under way
	dead  chan struct{} // closed once the child is gone and err is set
	group sync.WaitGroup

	mu      sync.Mutex
	runs    map[uint64]*run // under way, by id; nil once the worker is gone
	last    uint64          // id
	freed   []uint64        // ids whose outputs were read and not reported yet
	closing bool
	reason  string // why the worker was killed by this process
	err     error  // what becomes of runs; written before dead is closed
}

// run is a request under way.
type run struct {
	answer chan answer // buffered; gets at most one
	blocks []block     // of its inputs
	left   bool        // nobody waits for the answer any more
	stop   *time.Timer // kills the worker, once left
}

// answer is what a worker said to a run.
type answer struct {
	places  []place
	tensors []modelrt.Tensor
	err     error
}

// begin starts the goroutines that live as long as the worker.
func (p *process) begin(r *bufio.Reader) {
	p.group.Go(func() { p.out.run(p.dead) })
	p.group.Go(func() { p.end(p.listen(r)) })
}

// infer has the worker run the model once. Inputs are checked already.
func (p *process) infer(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.dead:
		return nil, p.err
	}
	r := &run{answer: make(chan answer, 1)}
	var places []place
	places, r.blocks = placeTensors(p.sig.Inputs, inputs, p.shared.inputs)
	id, ok := p.enter(r)
	if !ok {
		<-p.dead
		return nil, p.err
	}
	p.out.send(tensorFrame(kindRun, id, p.sig.Inputs, inputs, places))
	select {
	case a := <-r.answer:
		return p.take(id, a)
	case <-ctx.Done():
		if p.leave(id) {
			return nil, ctx.Err()
		}
		return p.take(id, <-r.answer)
	}
}

// enter enters a run; false where the worker is gone. What earlier runs have
// read is reported before it.
func (p *process) enter(r *run) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil {
		return 0, false
	}
	var frames []byte
	for _, id := range p.freed {
		frames = header{kind: kindFree, id: id}.append(frames)
	}
	p.freed = p.freed[:0]
	if len(frames) > 0 {
		p.out.send(frames)
	}
	p.last++
	p.runs[p.last] = r
	return p.last, true
}

// take makes the result of an answer.
func (p *process) take(id uint64, a answer) (map[string]modelrt.Tensor, error) {
	if a.err != nil {
		return nil, a.err
	}
	shared := false
	for i, place := range a.places {
		if place.shared {
			shared = true
			data, err := p.shared.read(place)
			if err != nil { // the worker went in between
				<-p.dead
				return nil, p.err
			}
			a.tensors[i].Data = data
		}
		if err := a.tensors[i].Validate(); err != nil {
			return nil, fmt.Errorf("%w: output %q: %w", modelrt.ErrRun, p.sig.Outputs[i].Name, err)
		}
	}
	if shared {
		p.mu.Lock()
		p.freed = append(p.freed, id)
		p.mu.Unlock()
	}
	return named(p.sig.Outputs, a.tensors), nil
}

// leave tells the worker to stop a run that nobody waits for any more, and has
// it killed if it does not; false where its answer is there already. The run
// keeps its slot and its inputs until the worker is done with them.
func (p *process) leave(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.runs[id]
	if !ok {
		return false
	}
	r.left = true
	r.stop = time.AfterFunc(p.cfg.StopTimeout, func() {
		p.kill(fmt.Sprintf("a run did not stop within %s", p.cfg.StopTimeout))
	})
	p.out.send(header{kind: kindCancel, id: id}.append(nil))
	return true
}

// listen hears the worker until the connection ends or it says what it must not.
func (p *process) listen(r *bufio.Reader) error {
	for {
		h, body, err := readFrame(r)
		if err != nil {
			return err
		}
		var a answer
		switch {
		case h.kind == kindResult:
			if a.places, err = decodePlaces(body, p.sig.Outputs, p.shared.size); err == nil {
				a.tensors, err = readTensors(r, p.sig.Outputs, a.places)
			}
		case h.kind == kindFailed && h.id != 0:
			a.err, err = decodeFailure(body)
		default:
			err = fmt.Errorf("%w: kind %d from a worker", errFrame, h.kind)
		}
		if err != nil {
			return err
		}
		if !p.answered(h.id, a) {
			return fmt.Errorf("%w: answer to run %d, which is not under way", errFrame, h.id)
		}
	}
}

// answered gives an answer to its run; false where there is none.
func (p *process) answered(id uint64, a answer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.runs[id]
	if !ok {
		return false
	}
	delete(p.runs, id)
	p.shared.inputs.free(r.blocks)
	<-p.slots
	if !r.left {
		r.answer <- a
		return true
	}
	r.stop.Stop()
	p.freed = append(p.freed, id)
	return true
}

// kill ends the worker for a reason that runs under way are told.
func (p *process) kill(reason string) {
	p.mu.Lock()
	if p.reason == "" {
		p.reason = reason
	}
	p.mu.Unlock()
	_ = p.child.Kill() // fails only where it is gone
}

// gone tells whether the worker has ended; it does before any run is told.
func (p *process) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs == nil
}

// exitTime is how long a worker whose connection has ended, or that was told to
// go, may take.
const exitTime = 3 * time.Second

// end waits until the child is gone, and fails what is under way. heard is why
// nothing more was heard from it.
func (p *process) end(heard error) {
	if errors.Is(heard, errFrame) {
		p.kill(heard.Error())
	}
	select {
	case <-p.child.Done():
	case <-time.After(exitTime):
		p.kill(fmt.Sprintf("it did not end within %s", exitTime))
	}
	exit := p.child.Wait()
	p.mu.Lock()
	runs := p.runs
	p.runs = nil
	p.err = fmt.Errorf("%w: %w: %s", modelrt.ErrRun, modelrt.ErrWorker, howEnded(p.reason, exit, p.stderr))
	if p.closing {
		p.err = fmt.Errorf("session %w", modelrt.ErrClosed)
	}
	p.mu.Unlock()
	for _, r := range runs {
		if r.stop != nil {
			r.stop.Stop()
		}
		r.answer <- answer{err: p.err} // unread where nobody waits
	}
	close(p.dead)
	if err := errors.Join(p.conn.Close(), p.shared.close()); err != nil {
		p.cfg.Logger.Error("cleaning up after a worker failed", slog.Any("error", err))
	}
}

// close has the worker go, or kills it, and returns when nothing of it is left.
func (p *process) close() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	_ = p.conn.CloseWrite() // it hears the end; where that fails it is gone
	select {
	case <-p.dead:
	case <-time.After(exitTime):
		p.kill("it was closed")
	}
	p.group.Wait()
}

// howEnded says how a worker ended.
func howEnded(reason string, exit error, stderr *excerpt.Excerpt) string {
	switch {
	case errors.Is(exit, limit.ErrMemory):
		return fmt.Sprintf("worker killed (%v)", exit)
	case reason != "":
		return fmt.Sprintf("worker killed (%s)%s", reason, stderr.Said())
	case exit == nil:
		return "worker ended unasked" + stderr.Said()
	}
	return fmt.Sprintf("worker crashed (%v)%s", exit, stderr.Said())
}
