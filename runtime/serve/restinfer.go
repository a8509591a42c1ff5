package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// postInfer reads a request, has the model answer and writes that.
func (s *Server) postInfer(w http.ResponseWriter, r *http.Request, e endpoint) error {
	p := phases{began: time.Now()}
	leave, err := s.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	p.queue = time.Since(p.began)
	request := Request{Model: e.model, Version: e.version}
	parts, version, err := s.answer(w, r, &request, &p)
	s.count(request, version, p, err)
	if err != nil {
		return err
	}
	s.writeAnswer(w, r, parts)
	return nil
}

// answer reads and runs a request. It returns the answer, JSON first and then
// the tensors behind it, and the version that gave it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, request *Request, p *phases) (parts [][]byte, version string, err error) {
	header, binary, err := s.readParts(w, r)
	if err != nil {
		return nil, "", err
	}
	var in wire.InferRequest
	if err := wire.Decode(header, &in); err != nil {
		return nil, "", err
	}
	asked, err := parseREST(in, binary, request)
	if err != nil {
		return nil, "", err
	}
	timeout, _, err := in.Parameters.Uint(paramTimeout)
	if err != nil {
		return nil, "", err
	}
	response, err := s.run(r.Context(), *request, timeout, p)
	if err != nil {
		return nil, "", err
	}
	began := time.Now()
	parts, err = formatREST(in.ID, *request, response, asked)
	p.output = time.Since(began)
	return parts, response.Version, err
}

// wanted tells which outputs go behind the JSON.
type wanted struct {
	all    bool // unless said otherwise
	output map[string]bool
}

func (a wanted) binary(name string) bool {
	if b, ok := a.output[name]; ok {
		return b
	}
	return a.all
}

// parseREST fills in a request with what its JSON says.
func parseREST(in wire.InferRequest, binary []byte, out *Request) (wanted, error) {
	asked := wanted{output: make(map[string]bool)}
	if err := refuse(in.Parameters.Has); err != nil {
		return asked, err
	}
	var err error
	if asked.all, _, err = in.Parameters.Bool(wire.BinaryDataOutput); err != nil {
		return asked, err
	}
	for _, t := range in.Inputs {
		if err := refuse(t.Parameters.Has); err != nil {
			return asked, fmt.Errorf("input %.80q: %w", t.Name, err)
		}
	}
	data, err := wire.Binary(in.Inputs, binary)
	if err != nil {
		return asked, err
	}
	for i, t := range in.Inputs {
		tensor, elements, err := t.Parse(data[i])
		if err != nil {
			return asked, fmt.Errorf("input %.80q: %w", t.Name, err)
		}
		if err := out.addInput(t.Name, tensor, elements); err != nil {
			return asked, err
		}
	}
	for _, o := range in.Outputs {
		if err := refuse(o.Parameters.Has); err != nil {
			return asked, fmt.Errorf("output %.80q: %w", o.Name, err)
		}
		b, ok, err := o.Parameters.Bool(wire.BinaryData)
		if err != nil {
			return asked, fmt.Errorf("output %.80q: %w", o.Name, err)
		}
		if ok {
			asked.output[o.Name] = b
		}
		if err := out.addOutput(o.Name); err != nil {
			return asked, err
		}
	}
	return asked, nil
}

// formatREST makes an answer: its JSON, and the tensors that go behind it.
func formatREST(id string, r Request, response Response, asked wanted) ([][]byte, error) {
	out := wire.InferResponse{ModelName: r.Model, ModelVersion: response.Version, ID: id, Outputs: wire.Bounded[wire.Tensor]{}}
	parts := make([][]byte, 1, 1+len(response.Outputs))
	for _, name := range order(r, response) {
		t := response.Outputs[name]
		o := wire.Tensor{Name: name, Datatype: wire.Datatype(t.DType), Shape: t.Shape}
		if o.Shape == nil {
			o.Shape = []int64{}
		}
		if asked.binary(name) {
			o.Parameters = wire.Parameters{wire.BinaryDataSize: strconv.AppendInt(nil, int64(len(t.Data)), 10)}
			parts = append(parts, t.Data)
		} else {
			data, err := tensorData(t)
			if err != nil {
				return nil, fmt.Errorf("%w: output %q: %w", modelrt.ErrRun, name, err)
			}
			o.Data = data
		}
		out.Outputs = append(out.Outputs, o)
	}
	var err error
	parts[0], err = json.Marshal(out)
	return parts, err
}

// tensorData returns the elements of a tensor as a flat JSON list; floats that
// JSON does not have are the strings "NaN", "Infinity" and "-Infinity", which
// Python's float reads.
func tensorData(t modelrt.Tensor) (json.RawMessage, error) {
	text, err := t.MarshalJSON()
	if err != nil {
		return nil, err
	}
	// The data comes last: {"dtype":...,"shape":[...],"data":[...]}.
	_, data, _ := bytes.Cut(text, []byte(`"data":`))
	return data[:len(data)-1], nil
}

// writeAnswer writes the parts of an answer, packed where the client accepts
// that.
func (s *Server) writeAnswer(w http.ResponseWriter, r *http.Request, parts [][]byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if len(parts) > 1 {
		header.Set("Content-Type", "application/octet-stream")
		header.Set(wire.HeaderLength, strconv.Itoa(len(parts[0])))
	}
	header.Add("Vary", "Accept-Encoding")
	packed, encoding := pack(parts, r.Header.Get("Accept-Encoding"))
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
	size := 0
	for _, p := range packed {
		size += len(p)
	}
	header.Set("Content-Length", strconv.Itoa(size))
	// Whoever does not read is not waited for. A connection that has no deadlines
	// is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.ReadTime))
	w.WriteHeader(http.StatusOK)
	for _, p := range packed {
		if _, err := w.Write(p); err != nil {
			return // the client has gone away; nobody is left to tell
		}
	}
}
