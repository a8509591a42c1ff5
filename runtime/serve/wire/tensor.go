package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Tensor is the JSON of an input, or of an output of an answer.
type Tensor struct {
	Name       string     `json:"name"`
	Datatype   string     `json:"datatype"`
	Shape      []int64    `json:"shape"`
	Parameters Parameters `json:"parameters,omitempty"`
	// Data holds the elements, flat or nested as the shape says; absent where
	// they are binary.
	Data json.RawMessage `json:"data,omitempty"`
}

// inJSON tells whether the elements are in the JSON.
func (t Tensor) inJSON() bool { return t.Data != nil && !bytes.Equal(t.Data, []byte("null")) }

// Binary gives each tensor, in order, its part of the bytes behind the JSON;
// nil for those whose data is in the JSON. The parts share binary's memory, and
// must use all of it. The error wraps [ErrMalformed].
func Binary(tensors []Tensor, binary []byte) ([][]byte, error) {
	parts := make([][]byte, len(tensors))
	for i, t := range tensors {
		size, ok, err := t.Parameters.Uint(BinaryDataSize)
		if err != nil {
			return nil, fmt.Errorf("tensor %.80q: %w", t.Name, err)
		}
		switch {
		case !ok && !t.inJSON():
			return nil, fmt.Errorf("%w: tensor %.80q has neither data nor %s", ErrMalformed, t.Name, BinaryDataSize)
		case !ok:
			continue
		case t.inJSON():
			return nil, fmt.Errorf("%w: tensor %.80q has both data and %s", ErrMalformed, t.Name, BinaryDataSize)
		case size > uint64(len(binary)):
			return nil, fmt.Errorf("%w: tensor %.80q takes %d bytes behind the JSON, %d are left", ErrMalformed, t.Name, size, len(binary))
		}
		parts[i] = binary[:size:size]
		binary = binary[size:]
	}
	if len(binary) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow that belong to no tensor", ErrMalformed, len(binary))
	}
	return parts, nil
}

// Parse returns t with part, what [Binary] gave it, as a tensor; elements of
// BYTES are returned beside it, with a nil Data. The data may share part's
// memory. Type, shape and length agree; values are not looked at, save those in
// JSON. The error wraps [ErrMalformed].
func (t Tensor) Parse(part []byte) (modelrt.Tensor, [][]byte, error) {
	dtype, err := ParseDatatype(t.Datatype)
	if err != nil {
		return modelrt.Tensor{}, nil, err
	}
	if t.Shape == nil {
		return modelrt.Tensor{}, nil, fmt.Errorf("%w: no shape", ErrMalformed)
	}
	if !t.inJSON() {
		return ParseRaw(dtype, t.Shape, part)
	}
	if dtype == modelrt.STRING {
		elements, err := t.strings()
		return modelrt.Tensor{DType: dtype, Shape: t.Shape}, elements, err
	}
	whole, err := json.Marshal(map[string]any{"dtype": dtype, "shape": t.Shape, "data": t.Data})
	if err != nil {
		return modelrt.Tensor{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var out modelrt.Tensor
	if err := out.UnmarshalJSON(whole); err != nil {
		return modelrt.Tensor{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil, nil
}

// ParseRaw returns the tensor of this type and shape whose raw form is data,
// whose memory it shares; elements of BYTES are returned beside it, with a nil
// Data. The error wraps [ErrMalformed].
func ParseRaw(dtype modelrt.DType, shape []int64, data []byte) (modelrt.Tensor, [][]byte, error) {
	if dtype != modelrt.STRING {
		size, err := modelrt.ByteSize(dtype, shape)
		if err != nil {
			return modelrt.Tensor{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if size != int64(len(data)) {
			return modelrt.Tensor{}, nil, fmt.Errorf("%w: %s%v takes %d bytes, there are %d", ErrMalformed, Datatype(dtype), shape, size, len(data))
		}
		return modelrt.Tensor{DType: dtype, Shape: shape, Data: data}, nil, nil
	}
	count, err := Elements(shape)
	if err != nil {
		return modelrt.Tensor{}, nil, err
	}
	elements, err := DecodeBytes(data, count)
	return modelrt.Tensor{DType: dtype, Shape: shape}, elements, err
}

// strings returns the elements of a tensor of BYTES that are in the JSON as
// strings, flat or nested.
func (t Tensor) strings() ([][]byte, error) {
	count, err := Elements(t.Shape)
	if err != nil {
		return nil, err
	}
	// Each element takes two bytes of text at least.
	if count > int64(min(len(t.Data)/2, MaxElements)) {
		return nil, fmt.Errorf("%w: shape %v asks for more elements than there are", ErrMalformed, t.Shape)
	}
	out := make([][]byte, 0, count)
	dec := json.NewDecoder(bytes.NewReader(t.Data))
	for {
		tok, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			if int64(len(out)) != count {
				return nil, fmt.Errorf("%w: %d elements, shape %v asks for %d", ErrMalformed, len(out), t.Shape, count)
			}
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch tok := tok.(type) {
		case string:
			if int64(len(out)) == count {
				return nil, fmt.Errorf("%w: more than the %d elements that the shape asks for", ErrMalformed, count)
			}
			out = append(out, []byte(tok))
		case json.Delim:
			if tok == '{' || tok == '}' {
				return nil, fmt.Errorf("%w: an object among the elements of BYTES", ErrMalformed)
			}
		default:
			return nil, fmt.Errorf("%w: %v among the elements of BYTES, want strings", ErrMalformed, tok)
		}
	}
}
