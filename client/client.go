package client

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

// Config says which node to ask.
type Config struct {
	// Address is the host:port of the node's gRPC server; required. `dunlin
	// status` names it.
	Address string
	// MaxMessageBytes bounds a request and an answer. Default 64 MiB.
	MaxMessageBytes int
}

// Client asks one node. It is safe for concurrent use; requests share one
// connection, which is made when the first needs it, and again when it is lost.
type Client struct {
	conn *grpc.ClientConn
	stub pb.GRPCInferenceServiceClient
}

// New returns a client; it does not connect yet. Close it.
func New(cfg Config) (*Client, error) {
	if cfg.Address == "" {
		return nil, fmt.Errorf("client: no address (want HOST:PORT)")
	}
	if cfg.MaxMessageBytes < 0 {
		return nil, fmt.Errorf("client: %d message bytes, want more", cfg.MaxMessageBytes)
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 64 << 20
	}
	conn, err := grpc.NewClient(cfg.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxMessageBytes), grpc.MaxCallSendMsgSize(cfg.MaxMessageBytes)))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &Client{conn: conn, stub: pb.NewGRPCInferenceServiceClient(conn)}, nil
}

// Close ends the connection and the requests on it.
func (c *Client) Close() error { return c.conn.Close() }

// Ready returns nil if the node answers requests to the model now; version may
// be empty for the active one. Errors are those of Infer.
func (c *Client) Ready(ctx context.Context, model, version string) error {
	r, err := c.stub.ModelReady(ctx, &pb.ModelReadyRequest{Name: model, Version: version})
	if err != nil {
		return ofStatus(ctx, err)
	}
	if !r.GetReady() {
		return fmt.Errorf("%w: model %s is not ready", ErrUnavailable, model)
	}
	return nil
}

// Request asks for one inference.
type Request struct {
	// Model is "publisher/name".
	Model string
	// Version of the release for people; empty for the active one.
	Version string
	// Inputs are all inputs of the model, in any order.
	Inputs []Tensor
	// Outputs names those that are wanted; none for all.
	Outputs []string
}

// Result is the answer to one request.
type Result struct {
	// Version is the one that answered.
	Version string
	// Outputs in the order of the node.
	Outputs []Tensor
}

// Output returns the output of this name; its Datatype is empty if there is none.
func (r Result) Output(name string) Tensor {
	at := slices.IndexFunc(r.Outputs, func(t Tensor) bool { return t.Name == name })
	if at < 0 {
		return Tensor{Name: name}
	}
	return r.Outputs[at]
}

// Infer runs the model once. Errors wrap ErrRequest, ErrNotFound,
// ErrOverloaded, ErrUnavailable, ErrServer, or ctx's own error.
func (c *Client) Infer(ctx context.Context, r Request) (Result, error) {
	in := &pb.ModelInferRequest{ModelName: r.Model, ModelVersion: r.Version}
	tensors := make([]pb.ModelInferRequest_InferInputTensor, len(r.Inputs))
	for i, t := range r.Inputs {
		tensors[i].Name, tensors[i].Datatype, tensors[i].Shape = t.Name, t.Datatype, t.Shape
		in.Inputs = append(in.Inputs, &tensors[i])
		in.RawInputContents = append(in.RawInputContents, t.Data)
	}
	for _, name := range r.Outputs {
		in.Outputs = append(in.Outputs, &pb.ModelInferRequest_InferRequestedOutputTensor{Name: name})
	}
	out, err := c.stub.ModelInfer(ctx, in)
	if err != nil {
		return Result{}, ofStatus(ctx, err)
	}
	result := Result{Version: out.GetModelVersion(), Outputs: make([]Tensor, len(out.GetOutputs()))}
	raw := out.GetRawOutputContents()
	for i, t := range out.GetOutputs() {
		if i >= len(raw) {
			return Result{}, fmt.Errorf("%w: output %q came without raw contents", ErrServer, t.GetName())
		}
		result.Outputs[i] = Tensor{Name: t.GetName(), Datatype: t.GetDatatype(), Shape: t.GetShape(), Data: raw[i]}
	}
	return result, nil
}
