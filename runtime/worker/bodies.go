package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// loadBody is the body of kindLoad.
type loadBody struct {
	Protocol int    `json:"protocol"`
	Path     string `json:"path"`        // absolute
	Arena    int64  `json:"arena_bytes"` // of each of the two; 0: there are none
}

// loadedBody is the body of kindLoaded.
type loadedBody struct {
	EngineVersion string            `json:"engine_version"`
	Signature     modelrt.Signature `json:"signature"`
}

// Bounds of what a worker says of a model.
const (
	maxPorts     = 4096 // inputs, and outputs
	maxNameBytes = 4096
	maxMetadata  = 256
)

// decodeLoaded decodes and checks the body of kindLoaded.
func decodeLoaded(body []byte) (loadedBody, error) {
	var l loadedBody
	if err := decodeJSON(body, &l); err != nil {
		return l, err
	}
	if len(l.EngineVersion) > maxNameBytes || len(l.Signature.Metadata) > maxMetadata {
		return l, fmt.Errorf("%w: version or metadata over the bound", errFrame)
	}
	for _, ports := range [][]modelrt.Port{l.Signature.Inputs, l.Signature.Outputs} {
		if err := checkPorts(ports); err != nil {
			return l, err
		}
	}
	return l, nil
}

func checkPorts(ports []modelrt.Port) error {
	if len(ports) > maxPorts {
		return fmt.Errorf("%w: %d ports, at most %d", errFrame, len(ports), maxPorts)
	}
	seen := make(map[string]bool, len(ports))
	for _, p := range ports {
		if len(p.Name) > maxNameBytes || seen[p.Name] {
			return fmt.Errorf("%w: port name %.40q", errFrame, p.Name)
		}
		seen[p.Name] = true
		if len(p.Shape) > modelrt.MaxRank || p.DType.Size() == 0 && p.DType != modelrt.STRING {
			return fmt.Errorf("%w: port %.40q of type %.40q and rank %d", errFrame, p.Name, p.DType, len(p.Shape))
		}
		for _, n := range p.Shape {
			if n < -1 {
				return fmt.Errorf("%w: port %.40q of shape %v", errFrame, p.Name, p.Shape)
			}
		}
	}
	return nil
}

// decodeJSON decodes exactly one value without unknown fields.
func decodeJSON(body []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one value", errFrame)
	}
	return nil
}

// failures are the errors that keep their identity between processes; the index
// is the code on the wire.
func failures() []error {
	return []error{
		modelrt.ErrRun, modelrt.ErrInput, modelrt.ErrLoad, modelrt.ErrNoRuntime, modelrt.ErrClosed,
		context.Canceled, context.DeadlineExceeded,
	}
}

// maxFailureBytes bounds the text of an error.
const maxFailureBytes = 4 << 10

// encodeFailure returns the body of kindFailed: a byte that says what err
// wraps (ErrRun, if nothing known), then its text.
func encodeFailure(err error) []byte {
	code := byte(0)
	for i, known := range failures() {
		if errors.Is(err, known) {
			code = byte(i)
			break
		}
	}
	text := strings.ToValidUTF8(err.Error(), "\ufffd")
	if len(text) > maxFailureBytes {
		text = strings.ToValidUTF8(text[:maxFailureBytes], "")
	}
	return append([]byte{code}, text...)
}

// decodeFailure is the reverse of encodeFailure.
func decodeFailure(body []byte) (error, error) {
	known := failures()
	if len(body) == 0 || int(body[0]) >= len(known) || len(body) > 1+maxFailureBytes || !utf8.Valid(body[1:]) {
		return nil, fmt.Errorf("%w: failure of %d bytes", errFrame, len(body))
	}
	return &failure{text: string(body[1:]), is: known[body[0]]}, nil
}

// failure is an error of a worker, with the text that it had there.
type failure struct {
	text string
	is   error
}

// Error is what the worker said.
func (f *failure) Error() string { return f.text }

// Unwrap gives the error of package runtime or context that it was.
func (f *failure) Unwrap() error { return f.is }
