package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

type inferCmd struct {
	Model string   `arg:"" help:"Model, publisher/name."`
	Input []string `help:"NAME=FILE.npy, NAME=FILE.json or NAME=JSON; again for each input." placeholder:"NAME=FILE|JSON" sep:"none"`
	Zeros bool     `help:"Take zeros for inputs that are not given; sizes that the model leaves open are 1."`
	Out   string   `help:"Also write each output to DIR/NAME.npy." placeholder:"DIR" type:"existingdir"`
}

// Help is the second part of `dunlin infer --help`.
func (inferCmd) Help() string {
	return `JSON is a number, nested lists of numbers (the element type is the model's), or an object with dtype, shape and data.

Examples:
  dunlin infer acme/vad --input input=chunk.npy --input sr=16000 --zeros
  dunlin infer acme/add --input 'x=[[1,2],[3,4]]' --json | jq .outputs.y.data

Exit codes: 0 done, 1 failed (no active release, the model failed), 2 an input does not fit.`
}

const maxInputBytes = 256 << 20

// Run infers.
func (c inferCmd) Run(e *env) error {
	m, _, err := splitModel(c.Model)
	if err != nil {
		return err
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	var info modelrt.ActiveInfo
	if err := client.Call(e, "signature", api.ModelRequest{Model: m}, &info, nil); err != nil {
		return err
	}
	inputs := make(map[string]modelrt.Tensor)
	for _, text := range c.Input {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return api.Errorf(api.CodeUsage, "input %q is not of the form NAME=FILE or NAME=JSON", text)
		}
		if inputs[name], err = readInput(name, value, info.Signature); err != nil {
			return err
		}
	}
	var r api.InferResult
	if err := client.Call(e, "infer", api.InferRequest{Model: m, Inputs: inputs, Zeros: c.Zeros}, &r, nil); err != nil {
		return err
	}
	if c.Out != "" {
		if err := writeOutputs(c.Out, r.Outputs); err != nil {
			return err
		}
	}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s@%s, %.1f ms\n", r.Model, r.Version, 1000*r.Seconds)
		names := make([]string, 0, len(r.Outputs))
		for name := range r.Outputs {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			fmt.Fprintln(w, name, describeTensor(r.Outputs[name]))
		}
	})
}

// readInput makes a tensor of what stands behind NAME=.
func readInput(name, value string, s modelrt.Signature) (modelrt.Tensor, error) {
	i := slices.IndexFunc(s.Inputs, func(p modelrt.Port) bool { return p.Name == name })
	if i < 0 {
		var names []string
		for _, p := range s.Inputs {
			names = append(names, fmt.Sprintf("%s (%s%d)", p.Name, p.DType, p.Shape))
		}
		return modelrt.Tensor{}, api.Errorf(api.CodeUsage, "the model has no input %q; it has %s", name, strings.Join(names, ", "))
	}
	text := []byte(value)
	if !json.Valid(text) {
		f, err := os.Open(value)
		if err != nil {
			return modelrt.Tensor{}, api.Errorf(api.CodeUsage, "input %s is neither JSON nor a file: %v", name, err)
		}
		defer f.Close()
		if strings.EqualFold(filepath.Ext(value), ".npy") {
			t, err := modelrt.ReadNPY(f, maxInputBytes)
			if err != nil {
				return t, api.Errorf(api.CodeUsage, "input %s: %s: %v", name, value, err)
			}
			return t, nil
		}
		if text, err = io.ReadAll(io.LimitReader(f, maxInputBytes)); err != nil {
			return modelrt.Tensor{}, fmt.Errorf("input %s: %w", name, err)
		}
	}
	t, err := parseTensor(text, s.Inputs[i].DType)
	if err != nil {
		return t, api.Errorf(api.CodeUsage, "input %s: %v", name, err)
	}
	return t, nil
}

// parseTensor reads an object with dtype, shape and data, or else a number or
// nested lists, whose shape is what they are and whose type is dtype.
func parseTensor(text []byte, dtype modelrt.DType) (t modelrt.Tensor, err error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return t, fmt.Errorf("neither .npy nor JSON: %w", err)
	}
	if _, ok := value.(map[string]any); ok {
		return t, json.Unmarshal(text, &t)
	}
	shape := []int64{}
	for at := value; ; {
		items, ok := at.([]any)
		if !ok {
			break
		}
		shape = append(shape, int64(len(items)))
		if len(items) == 0 {
			break
		}
		at = items[0]
	}
	data := json.RawMessage(text)
	if len(shape) == 0 {
		data = json.RawMessage("[" + string(text) + "]")
	}
	whole, err := json.Marshal(map[string]any{"dtype": dtype, "shape": shape, "data": data})
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(whole, &t)
}

func writeOutputs(dir string, outputs map[string]modelrt.Tensor) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("write outputs: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, t := range outputs {
		f, err := root.Create(strings.ReplaceAll(name, "/", "_") + ".npy")
		if err != nil {
			return fmt.Errorf("write output %s: %w", name, err)
		}
		if err := errors.Join(modelrt.WriteNPY(f, t), f.Close()); err != nil {
			return fmt.Errorf("write output %s: %w", name, err)
		}
	}
	return nil
}

// describeTensor shows type, shape and the first elements.
func describeTensor(t modelrt.Tensor) string {
	const most = 200
	var whole struct{ Data json.RawMessage }
	text, err := t.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &whole)
	}
	if err != nil {
		return err.Error()
	}
	data := string(whole.Data)
	if len(data) > most {
		data = data[:strings.LastIndexByte(data[:most], ',')+1] + " …]"
	}
	return fmt.Sprintf("%s%d %s", t.DType, t.Shape, data)
}
