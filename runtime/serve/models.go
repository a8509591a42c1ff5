package serve

import (
	"context"
	"errors"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

var (
	// ErrUnknownModel: there is no such model here, or not in that version. The
	// caller must ask for another one, or another node.
	ErrUnknownModel = errors.New("unknown model")

	// ErrUnsupported: the protocol has it, this server does not. Trying again is
	// useless.
	ErrUnsupported = errors.New("not supported")
)

// Models is what a [Server] serves. Implementations are safe for concurrent
// use. A version is the publisher's version for people; empty, it means the
// active one, whichever that is.
type Models interface {
	// Model describes one version of a model. Errors wrap ErrUnknownModel, or
	// modelrt.ErrNotActive where the model is known but nothing of it serves,
	// with the reason.
	Model(name, version string) (Model, error)
	// Infer runs one version of a model. It reads the request without keeping
	// any of it, and stops soon after ctx ends. Errors wrap what Model's do,
	// modelrt.ErrInput, ErrTensor, ErrRun, ErrOverloaded, ErrClosed or
	// ctx.Err().
	Infer(ctx context.Context, r Request) (Response, error)
	// List describes every version of every model that is served, or that should
	// be and is not, sorted by name. The caller may change the slice.
	List() []Model
}

// Model describes one version of a model.
type Model struct {
	// Name is "publisher/name".
	Name string
	// Version is the publisher's version for people.
	Version string
	// Versions are all versions that requests may ask for, this one among them.
	Versions []string
	// Platform names the engine and the format, such as "onnxruntime_onnx".
	Platform string
	// Signature is what the model takes and gives; empty where Ready is false.
	Signature modelrt.Signature
	// MaxBatch is how many requests along the first dimension may be computed
	// as one, 0 where each runs by itself.
	MaxBatch int
	// Ready tells that it answers requests now.
	Ready bool
	// Reason says why it is not ready; empty where it is.
	Reason string
}

// Input is one tensor of a request.
type Input struct {
	// Tensor has the type, shape and data; DType is STRING and Data nil for a
	// tensor of BYTES.
	modelrt.Tensor
	// Bytes are the elements of a tensor of BYTES, row major, as many as Shape
	// says; nil for every other type. The elements may be anything, such as
	// JPEG files.
	Bytes [][]byte
}

// Request asks for one inference.
type Request struct {
	// Model is "publisher/name", Version the version asked for or empty.
	Model, Version string
	// Inputs by name. The data may lie in a buffer that is used again after
	// Infer has returned.
	Inputs map[string]Input
	// Outputs are the names of the outputs asked for; none for all. What is not
	// asked for may be left out of the response.
	Outputs []string
}

// Response is the answer to a [Request].
type Response struct {
	// Version that answered.
	Version string
	// Signature of the version that answered; the order of its outputs is that of
	// the answer.
	Signature modelrt.Signature
	// Outputs by name, whose data nobody changes any more.
	Outputs map[string]modelrt.Tensor
	// Queued is how long the request waited for its turn, Ran how long the model
	// ran for it. Both may be zero where nobody measured them.
	Queued, Ran time.Duration
}
