package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

const maxZeroBytes = 64 << 20 // of one input that is left out

// signature tells what the active release takes and gives.
func (n *Node) signature(ctx context.Context, req api.ModelRequest, _ *api.Writer) (modelrt.ActiveInfo, error) {
	if err := req.Model.Validate(); err != nil {
		return modelrt.ActiveInfo{}, err
	}
	n.restore(ctx)
	info, ok := n.activator.Active(string(req.Model))
	if !ok {
		return modelrt.ActiveInfo{}, n.notActive(req)
	}
	return info, nil
}

// infer runs the active release once.
func (n *Node) infer(ctx context.Context, req api.InferRequest, out *api.Writer) (api.InferResult, error) {
	info, err := n.signature(ctx, api.ModelRequest{Model: req.Model}, out)
	if err != nil {
		return api.InferResult{}, err
	}
	if req.Zeros {
		if req.Inputs, err = fillZeros(req.Inputs, info.Signature); err != nil {
			return api.InferResult{}, err
		}
	}
	start := time.Now()
	outputs, by, err := n.activator.Infer(ctx, string(req.Model), req.Inputs)
	if err != nil {
		return api.InferResult{}, err
	}
	return api.InferResult{Model: req.Model, Version: by.Version, Outputs: outputs, Seconds: time.Since(start).Seconds()}, nil
}

// notActive says why no release of the model serves here.
func (n *Node) notActive(req api.ModelRequest) error {
	if reason := n.engine.Info().Reason; reason != "" {
		return modelrt.NoRuntime(errors.New(reason))
	}
	e, _ := n.board.get(req.Model)
	switch {
	case !n.rules.follows(req.Model):
		return fmt.Errorf("%s: %w: `dunlin follow %s` first", req.Model, modelrt.ErrNotActive, req.Model)
	case e.reason != "":
		return fmt.Errorf("%s: %w: %s", req.Model, modelrt.ErrNotActive, e.reason)
	}
	return fmt.Errorf("%s: %w yet: `dunlin wait %s`", req.Model, modelrt.ErrNotActive, req.Model)
}

// fillZeros returns the inputs with zeros for those that are left out; sizes
// that are only known when running are 1.
func fillZeros(given map[string]modelrt.Tensor, s modelrt.Signature) (map[string]modelrt.Tensor, error) {
	inputs := make(map[string]modelrt.Tensor, len(s.Inputs))
	maps.Copy(inputs, given)
	for _, port := range s.Inputs {
		if _, ok := inputs[port.Name]; ok {
			continue
		}
		shape := make([]int64, len(port.Shape))
		for i, dim := range port.Shape {
			shape[i] = max(dim, 1)
		}
		zeros, err := modelrt.NewTensor(port.DType, shape, maxZeroBytes)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", port.Name, err)
		}
		inputs[port.Name] = zeros
	}
	return inputs, nil
}
