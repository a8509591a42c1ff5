package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// HeaderLength is the HTTP header of a request or an answer with binary tensor
// data: how many bytes of the body, at its beginning, are the JSON. Without it
// the whole body is JSON.
const HeaderLength = "Inference-Header-Content-Length"

// Parameters of the binary tensor data extension.
const (
	// BinaryDataSize, of an input or output: its data is not in the JSON but in
	// that many bytes behind it.
	BinaryDataSize = "binary_data_size"
	// BinaryData, of an output asked for: true for its data behind the JSON.
	BinaryData = "binary_data"
	// BinaryDataOutput, of a request: the default of BinaryData.
	BinaryDataOutput = "binary_data_output"
)

// InferRequest is the JSON of a request.
type InferRequest struct {
	ID         string           `json:"id,omitempty"`
	Parameters Parameters       `json:"parameters,omitempty"`
	Inputs     Bounded[Tensor]  `json:"inputs"`
	Outputs    Bounded[Request] `json:"outputs,omitempty"`
}

// Request is the JSON of an output that is asked for.
type Request struct {
	Name       string     `json:"name"`
	Parameters Parameters `json:"parameters,omitempty"`
}

// InferResponse is the JSON of an answer.
type InferResponse struct {
	ModelName    string          `json:"model_name"`
	ModelVersion string          `json:"model_version,omitempty"`
	ID           string          `json:"id,omitempty"`
	Parameters   Parameters      `json:"parameters,omitempty"`
	Outputs      Bounded[Tensor] `json:"outputs"`
}

// Bounded is a list of at most [MaxTensors] elements.
type Bounded[T any] []T

// UnmarshalJSON reads a JSON list, or null. It stops at the bound.
func (b *Bounded[T]) UnmarshalJSON(text []byte) error {
	*b = nil
	dec := json.NewDecoder(bytes.NewReader(text))
	tok, err := dec.Token()
	if err != nil || tok == nil {
		return err
	}
	if tok != json.Delim('[') {
		return fmt.Errorf("%v where a list should be", tok)
	}
	for dec.More() {
		if len(*b) == MaxTensors {
			return fmt.Errorf("a list of more than %d tensors", MaxTensors)
		}
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		*b = append(*b, v)
	}
	return nil
}

// Decode reads the JSON of a request or an answer into v, a pointer to
// [InferRequest] or [InferResponse]. Fields it does not know are passed over,
// as the protocol has extensions. The error wraps [ErrMalformed].
func Decode(header []byte, v any) error {
	if len(header) > MaxHeaderBytes {
		return fmt.Errorf("%w: %d bytes of JSON, at most %d: send large tensors as binary data", ErrMalformed, len(header), MaxHeaderBytes)
	}
	if err := checkDepth(header); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(header))
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: JSON: %w", ErrMalformed, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the JSON; is %s missing?", ErrMalformed, HeaderLength)
	}
	return nil
}

// checkDepth refuses JSON that is nested deeper than MaxDepth.
func checkDepth(text []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > MaxDepth {
				return fmt.Errorf("%w: JSON is nested deeper than %d", ErrMalformed, MaxDepth)
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return nil
}
