package serve

import (
	"context"
	"fmt"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// answerGRPC runs a request and makes the answer.
func (s *Server) answerGRPC(ctx context.Context, in *pb.ModelInferRequest, request *Request, p *phases) (*pb.ModelInferResponse, error) {
	if err := parseGRPC(in, request); err != nil {
		return nil, err
	}
	timeout, err := timeoutOf(in.GetParameters())
	if err != nil {
		return nil, err
	}
	response, err := s.run(ctx, *request, timeout, p)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	typed := len(in.GetRawInputContents()) == 0 && len(in.GetInputs()) > 0
	out := formatGRPC(in.GetId(), *request, response, typed)
	p.output = time.Since(began)
	return out, nil
}

// parseGRPC fills in a request with what the message says.
func parseGRPC(in *pb.ModelInferRequest, out *Request) error {
	if err := refuseGRPC(in.GetParameters()); err != nil {
		return err
	}
	raw := in.GetRawInputContents()
	if len(raw) > 0 && len(raw) != len(in.GetInputs()) {
		return fmt.Errorf("%w: %d raw_input_contents for %d inputs", wire.ErrMalformed, len(raw), len(in.GetInputs()))
	}
	for i, t := range in.GetInputs() {
		if err := refuseGRPC(t.GetParameters()); err != nil {
			return fmt.Errorf("input %.80q: %w", t.GetName(), err)
		}
		tensor, elements, err := parseTensor(t, raw, i)
		if err != nil {
			return fmt.Errorf("input %.80q: %w", t.GetName(), err)
		}
		if err := out.addInput(t.GetName(), tensor, elements); err != nil {
			return err
		}
	}
	for _, o := range in.GetOutputs() {
		if err := refuseGRPC(o.GetParameters()); err != nil {
			return fmt.Errorf("output %.80q: %w", o.GetName(), err)
		}
		if err := out.addOutput(o.GetName()); err != nil {
			return err
		}
	}
	return nil
}

// parseTensor returns the i-th input.
func parseTensor(t *pb.ModelInferRequest_InferInputTensor, raw [][]byte, i int) (modelrt.Tensor, [][]byte, error) {
	dtype, err := wire.ParseDatatype(t.GetDatatype())
	if err != nil {
		return modelrt.Tensor{}, nil, err
	}
	if len(raw) == 0 {
		return wire.ParseContents(dtype, t.GetShape(), t.GetContents())
	}
	if t.GetContents() != nil {
		return modelrt.Tensor{}, nil, fmt.Errorf("%w: contents beside raw_input_contents", wire.ErrMalformed)
	}
	return wire.ParseRaw(dtype, t.GetShape(), raw[i])
}

func refuseGRPC(parameters map[string]*pb.InferParameter) error {
	if len(parameters) == 0 {
		return nil
	}
	return refuse(func(name string) bool { _, ok := parameters[name]; return ok })
}

// timeoutOf returns the client's timeout in microseconds, 0 for none.
func timeoutOf(parameters map[string]*pb.InferParameter) (uint64, error) {
	p, ok := parameters[paramTimeout]
	if !ok {
		return 0, nil
	}
	switch v := p.GetParameterChoice().(type) {
	case *pb.InferParameter_Int64Param:
		if v.Int64Param >= 0 {
			return uint64(v.Int64Param), nil
		}
	case *pb.InferParameter_Uint64Param:
		return v.Uint64Param, nil
	}
	return 0, fmt.Errorf("%w: parameter %q is not a number from 0 on", wire.ErrMalformed, paramTimeout)
}

// formatGRPC makes an answer: with typed contents for a client that sent such,
// where every output has them, and else with raw contents, which share the
// response's memory.
func formatGRPC(id string, r Request, response Response, typed bool) *pb.ModelInferResponse {
	names := order(r, response)
	out := &pb.ModelInferResponse{
		ModelName: r.Model, ModelVersion: response.Version, Id: id,
		Outputs: make([]*pb.ModelInferResponse_InferOutputTensor, len(names)),
	}
	for i, name := range names {
		t := response.Outputs[name]
		out.Outputs[i] = &pb.ModelInferResponse_InferOutputTensor{Name: name, Datatype: wire.Datatype(t.DType), Shape: t.Shape}
		if typed {
			out.Outputs[i].Contents, typed = wire.NewContents(t)
		}
	}
	if typed {
		return out
	}
	out.RawOutputContents = make([][]byte, len(names))
	for i, name := range names {
		out.Outputs[i].Contents = nil
		out.RawOutputContents[i] = response.Outputs[name].Data
	}
	return out
}
