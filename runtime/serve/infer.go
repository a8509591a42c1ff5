package serve

import (
	"context"
	"fmt"
	"slices"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// Parameters of requests and tensors that have a meaning here, or would have
// one elsewhere that it would be wrong to pass over.
const (
	paramTimeout        = "timeout" // microseconds
	paramSequence       = "sequence_id"
	paramClassification = "classification"
	paramSharedMemory   = "shared_memory_region"
)

// maxTimeout is the longest deadline that a request can ask for.
const maxTimeout = 24 * time.Hour

// run has the model answer, within the client's timeout in microseconds (0 for
// none but ctx's), notes the time it took in p, and leaves in the response only
// the outputs asked for.
func (s *Server) run(ctx context.Context, r Request, timeout uint64, p *phases) (Response, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(min(timeout, uint64(maxTimeout/time.Microsecond)))*time.Microsecond)
		defer cancel()
	}
	began := time.Now()
	p.input = began.Sub(p.began) - p.queue
	response, err := s.cfg.Models.Infer(ctx, r)
	if err != nil {
		return Response{}, err
	}
	p.infer = time.Since(began)
	if waited := response.Queued; waited > 0 && waited < p.infer {
		p.queue, p.infer = p.queue+waited, p.infer-waited
	}
	for _, name := range r.Outputs {
		if _, ok := response.Outputs[name]; !ok {
			return Response{}, fmt.Errorf("%w: there is no output %.80q", modelrt.ErrInput, name)
		}
	}
	return response, nil
}

// count adds a request to the statistics: to those of the version that
// answered, or that was asked for. What was asked for in vain is not counted.
func (s *Server) count(r Request, answered string, p phases, err error) {
	version := answered
	if err != nil {
		m, unknown := s.cfg.Models.Model(r.Model, r.Version)
		if unknown != nil {
			return
		}
		version = m.Version
	}
	s.stats.add(r.Model, version, p, err == nil)
}

// order returns the names of a response's outputs in the order asked for, or
// else in the model's own.
func order(r Request, response Response) []string {
	if len(r.Outputs) > 0 {
		return r.Outputs
	}
	names := make([]string, 0, len(response.Outputs))
	for _, p := range response.Signature.Outputs {
		if _, ok := response.Outputs[p.Name]; ok {
			names = append(names, p.Name)
		}
	}
	return names
}

// refuse returns why a request with these parameters cannot be answered as it
// means to be; nil where it can. has tells which parameters there are.
func refuse(has func(name string) bool) error {
	for name, what := range map[string]string{
		paramSequence:       "sequences: a request is answered by itself, whichever version serves",
		paramClassification: "the classification extension: ask for the output and sort it",
		paramSharedMemory:   "shared memory: send tensors in the request",
	} {
		if has(name) {
			return fmt.Errorf("%w: %s", ErrUnsupported, what)
		}
	}
	return nil
}

// addInput puts one tensor into a request.
func (r *Request) addInput(name string, t modelrt.Tensor, elements [][]byte) error {
	if _, ok := r.Inputs[name]; ok {
		return fmt.Errorf("%w: input %.80q is there twice", wire.ErrMalformed, name)
	}
	if r.Inputs == nil {
		r.Inputs = make(map[string]Input)
	}
	r.Inputs[name] = Input{Tensor: t, Bytes: elements}
	return nil
}

// addOutput asks for one output.
func (r *Request) addOutput(name string) error {
	if slices.Contains(r.Outputs, name) {
		return fmt.Errorf("%w: output %.80q is asked for twice", wire.ErrMalformed, name)
	}
	r.Outputs = append(r.Outputs, name)
	return nil
}
