package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/dunlin-mesh/dunlin/client"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// datatypes are the protocol's names of what the models here take.
func datatype(d modelrt.DType) string {
	if d == modelrt.I64 {
		return "INT64"
	}
	return "FP32"
}

// direct calls a session in this process.
func direct(s modelrt.Session, m model) caller {
	return func(ctx context.Context) error {
		_, err := s.Run(ctx, m.inputs)
		return err
	}
}

// byGRPC asks a node through the package client.
func byGRPC(c *client.Client, m model) caller {
	var inputs []client.Tensor
	for name, t := range m.inputs {
		inputs = append(inputs, client.Tensor{Name: name, Datatype: datatype(t.DType), Shape: t.Shape, Data: t.Data})
	}
	return func(ctx context.Context) error {
		result, err := c.Infer(ctx, client.Request{Model: m.name, Inputs: inputs})
		if err == nil && len(result.Outputs) == 0 {
			return fmt.Errorf("%s: no outputs", m.name)
		}
		return err
	}
}

// byREST asks a node through HTTP, with binary tensors both ways.
func byREST(c *http.Client, address string, m model) (caller, error) {
	type tensor struct {
		Name       string           `json:"name"`
		Datatype   string           `json:"datatype"`
		Shape      []int64          `json:"shape"`
		Parameters map[string]int64 `json:"parameters"`
	}
	var request struct {
		Inputs     []tensor        `json:"inputs"`
		Parameters map[string]bool `json:"parameters"`
	}
	request.Parameters = map[string]bool{"binary_data_output": true}
	var body []byte
	for name, t := range m.inputs {
		shape := append([]int64{}, t.Shape...)
		request.Inputs = append(request.Inputs, tensor{name, datatype(t.DType), shape, map[string]int64{"binary_data_size": int64(len(t.Data))}})
		body = append(body, t.Data...)
	}
	header, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	headers := http.Header{
		"Content-Type":                    {"application/octet-stream"},
		"Inference-Header-Content-Length": {strconv.Itoa(len(header))},
	}
	return post(c, "http://"+address+"/v2/models/"+m.name+"/infer", headers, append(header, body...)), nil
}

// post sends one body, and reads the answer whole.
func post(c *http.Client, url string, headers http.Header, body []byte) caller {
	return func(ctx context.Context) (err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header = headers
		answer, err := c.Do(r)
		if err != nil {
			return err
		}
		defer func() {
			if closing := answer.Body.Close(); err == nil {
				err = closing
			}
		}()
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %.200s", url, answer.Status, content)
		}
		return nil
	}
}
