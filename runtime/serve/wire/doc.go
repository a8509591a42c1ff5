// Package wire knows the formats of the Open Inference Protocol, version 2,
// that a server and a client share:
//
//   - names of element types ([Datatype], [ParseDatatype]): "FP32" is f32;
//   - tensors of BYTES ([AppendElement], [EncodeBytes], [DecodeBytes]): each
//     element behind its length, 4 bytes, little endian;
//   - the REST request and answer ([InferRequest], [InferResponse]): a JSON
//     header and, behind it, the tensors that are not in the JSON, in the order
//     of the header (the binary tensor data extension; [HeaderLength] is the
//     HTTP header that says how long the JSON is);
//   - typed contents of gRPC tensors ([AppendContents], [NewContents]);
//   - gRPC's codec for these messages ([Codec]), which copies a tensor's raw
//     bytes once when it reads and not at all when it writes.
//
// Specifications: KServe's open-inference-protocol (inference_rest.md,
// inference_grpc.md) and Triton's extension_binary_data.md.
//
// Whatever comes from the other end is bounded before anything is allocated for
// it, and refused with an error that wraps [ErrMalformed] where it is not of
// the form. The package neither reads nor writes a connection, and holds no
// state: everything here is safe for concurrent use.
package wire

import "errors"

// ErrMalformed: bytes from the other end that are not of the protocol's form.
// Sending the same again is useless.
var ErrMalformed = errors.New("malformed request")

// Bounds on what the other end may send, whatever it is allowed in bytes.
const (
	// MaxTensors bounds the inputs and the outputs of one request.
	MaxTensors = 1024
	// MaxParameters bounds the parameters of one request or tensor.
	MaxParameters = 256
	// MaxHeaderBytes bounds what of a message is not raw tensor data: JSON, typed
	// contents. Larger tensors must come as raw bytes.
	MaxHeaderBytes = 16 << 20
	// MaxDepth bounds how deep JSON is nested; data is nested as deep as its
	// tensor has dimensions.
	MaxDepth = 48
	// MaxElements bounds the elements of one tensor of BYTES.
	MaxElements = 1 << 20
)
