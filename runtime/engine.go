package runtime

import (
	"context"
	"fmt"
)

// Info says what an engine is. It is recorded and shown by the node.
type Info struct {
	// Name of the engine, such as "onnxruntime", or "none".
	Name string `json:"name"`
	// Version of the library; empty until the library has been loaded once,
	// unless it is the pinned one.
	Version string `json:"version,omitempty"`
	// LibraryPath is the absolute path of the shared library.
	LibraryPath string `json:"library_path,omitempty"`
	// LibrarySHA256 is the library file's digest in lower case hex.
	LibrarySHA256 string `json:"library_sha256,omitempty"`
	// Pinned tells that the library is the very one this release of Dunlin was
	// tested with; false for a library that the operator named.
	Pinned bool `json:"pinned"`
	// Providers are the execution providers that sessions of this engine use.
	Providers []string `json:"providers,omitempty"`
	// Worker says how tensors reach the worker processes that models run in,
	// such as "shared memory"; empty for an engine that runs them in this
	// process.
	Worker string `json:"worker,omitempty"`
	// Reason says why models cannot be run; empty for an engine that can.
	Reason string `json:"reason,omitempty"`
}

// Engine loads model files. Implementations are safe for concurrent use.
type Engine interface {
	// Info describes the engine; it does not load the library.
	Info() Info
	// Load reads the model file at path (an absolute path; files that the model
	// names lie beside it) and returns a session that the caller must Close.
	// Errors wrap ErrNoRuntime (the library cannot be used) or ErrLoad (the
	// model cannot). A load that has begun may outlive ctx.
	Load(ctx context.Context, path string) (Session, error)
}

// Session is a loaded model. Run is safe for concurrent use; Close must not be
// called while a Run is under way ([Activator] sees to that).
type Session interface {
	// Signature says what Run takes and gives. The caller must not change it.
	Signature() Signature
	// Run computes all outputs. It reads inputs without keeping them; they must
	// not change until it returns. The outputs are the caller's own. Errors
	// wrap ErrInput, ErrRun, ErrClosed or ctx.Err().
	Run(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error)
	// Close frees the model's memory. A second call does nothing.
	Close() error
}

// Port is one input or output of a model.
type Port struct {
	Name  string `json:"name"`
	DType DType  `json:"dtype"`
	// Shape holds one size per dimension, -1 where it is only known when
	// running. An empty shape is a scalar, or a rank the model does not state.
	Shape []int64 `json:"shape"`
}

// Signature is what a model takes and gives, in the model's own order.
type Signature struct {
	Inputs  []Port `json:"inputs"`
	Outputs []Port `json:"outputs"`
	// Metadata holds what the model file says about its tensors: the ONNX
	// metadata properties whose keys begin with "Image." or "dunlin." in any
	// case, at most 64 of them with values of at most 4 KiB. Nil where it says
	// nothing.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// NoEngine is the engine of a node that cannot run models: every Load fails
// with an error that wraps ErrNoRuntime and tells why, the reason it was given
// (usually the error of onnx.New).
func NoEngine(why error) Engine { return noEngine{why: why} }

type noEngine struct{ why error }

func (e noEngine) Info() Info { return Info{Name: "none", Reason: e.why.Error()} }

func (e noEngine) Load(_ context.Context, path string) (Session, error) {
	return nil, fmt.Errorf("load %s: %w", path, NoRuntime(e.why))
}
