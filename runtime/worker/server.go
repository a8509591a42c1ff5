//go:build unix

package worker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// server is the worker's side of the connection.
type server struct {
	conn    *net.UnixConn
	reader  *bufio.Reader // owned by listen
	session modelrt.Session
	sig     modelrt.Signature
	inputs  []byte // arena where the other end writes
	outputs *arena
	runs    sync.WaitGroup

	writing sync.Mutex // one frame at a time

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc // of runs under way
	lent    map[uint64][]block            // outputs that the other end has not read yet
}

// listen starts runs, and stops them, until the connection ends.
func (s *server) listen(ctx context.Context) error {
	for {
		h, body, err := readFrame(s.reader)
		if err != nil {
			return err
		}
		switch h.kind {
		case kindRun:
			err = s.run(ctx, h.id, body)
		case kindCancel:
			s.mu.Lock()
			if cancel, ok := s.cancels[h.id]; ok { // otherwise it is done
				cancel()
			}
			s.mu.Unlock()
		case kindFree:
			s.mu.Lock()
			blocks := s.lent[h.id]
			delete(s.lent, h.id)
			s.mu.Unlock()
			s.outputs.free(blocks)
		default:
			err = fmt.Errorf("%w: kind %d from the node", errFrame, h.kind)
		}
		if err != nil {
			return err
		}
	}
}

// run reads the inputs of a run and starts it.
func (s *server) run(ctx context.Context, id uint64, body []byte) error {
	places, err := decodePlaces(body, s.sig.Inputs, int64(len(s.inputs)))
	if err != nil {
		return err
	}
	tensors, err := readTensors(s.reader, s.sig.Inputs, places)
	if err != nil {
		return err
	}
	for i, p := range places {
		if p.shared {
			tensors[i].Data = slices.Clip(s.inputs[p.offset : p.offset+p.size])
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	_, twice := s.cancels[id]
	if twice = twice || len(s.cancels) >= maxConcurrent; !twice {
		s.cancels[id] = cancel
	}
	s.mu.Unlock()
	if twice {
		cancel()
		return fmt.Errorf("%w: run %d twice, or more than %d", errFrame, id, maxConcurrent)
	}
	s.runs.Go(func() {
		defer cancel()
		// A connection that is broken ends listen, too.
		_ = s.answer(ctx, id, named(s.sig.Inputs, tensors))
	})
	return nil
}

// answer runs the model and sends what came of it.
func (s *server) answer(ctx context.Context, id uint64, inputs map[string]modelrt.Tensor) error {
	outputs, err := s.session.Run(ctx, inputs)
	s.mu.Lock()
	delete(s.cancels, id)
	s.mu.Unlock()
	if err == nil {
		err = checkOutputs(s.sig.Outputs, outputs)
	}
	if err != nil {
		return s.fail(id, err)
	}
	places, blocks := placeTensors(s.sig.Outputs, outputs, s.outputs)
	if len(blocks) > 0 {
		s.mu.Lock()
		s.lent[id] = blocks
		s.mu.Unlock()
	}
	return s.write(tensorFrame(kindResult, id, s.sig.Outputs, outputs, places))
}

// checkOutputs refuses what a frame cannot carry.
func checkOutputs(ports []modelrt.Port, outputs map[string]modelrt.Tensor) error {
	var total int64
	for _, p := range ports {
		t, ok := outputs[p.Name]
		if !ok || t.DType != p.DType {
			return fmt.Errorf("%w: output %q is not the %s that the model states", modelrt.ErrRun, p.Name, p.DType)
		}
		if err := t.Validate(); err != nil {
			return fmt.Errorf("%w: output %q: %w", modelrt.ErrRun, p.Name, err)
		}
		if total += int64(len(t.Data)); int64(len(t.Data)) > modelrt.MaxTensorBytes || total > maxTensorsBytes {
			return fmt.Errorf("%w: output %q is too large for a worker", modelrt.ErrRun, p.Name)
		}
	}
	return nil
}

// fail sends that a run, or the load (id 0), failed.
func (s *server) fail(id uint64, err error) error {
	body := encodeFailure(err)
	return s.write(append(header{kind: kindFailed, body: len(body), id: id}.append(nil), body...))
}

func (s *server) write(frame []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.conn.Write(frame)
	return err
}

// stopTime is how long runs may take to stop when the connection has ended.
const stopTime = 2 * time.Second

// stopAll stops all runs; false if one does not stop.
func (s *server) stopAll() bool {
	s.mu.Lock()
	for _, cancel := range s.cancels {
		cancel()
	}
	s.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		s.runs.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
		return true
	case <-time.After(stopTime):
		return false
	}
}
