package node

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/image"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
)

// pictures makes inputs of picture files, a few at a time, since decoding takes
// memory that nobody else counts.
type pictures struct {
	limits image.Limits
	turn   chan struct{} // holds a value for each input that is being made
}

func newPictures() pictures {
	return pictures{limits: image.DefaultLimits(), turn: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// tensors returns the inputs of a request as the runtime takes them: pictures,
// which come as BYTES, as the model's metadata asks.
func (p pictures) tensors(ctx context.Context, inputs map[string]serve.Input, sig modelrt.Signature) (map[string]modelrt.Tensor, error) {
	out := make(map[string]modelrt.Tensor, len(inputs))
	for name, in := range inputs {
		if in.DType != modelrt.STRING {
			out[name] = in.Tensor
			continue
		}
		t, err := p.tensor(ctx, name, in.Bytes, sig)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

func (p pictures) tensor(ctx context.Context, name string, files [][]byte, sig modelrt.Signature) (modelrt.Tensor, error) {
	at := slices.IndexFunc(sig.Inputs, func(port modelrt.Port) bool { return port.Name == name })
	if at < 0 {
		return modelrt.Tensor{}, fmt.Errorf("%w: there is no input %.80q", modelrt.ErrInput, name)
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return modelrt.Tensor{}, ctx.Err()
	}
	t, err := image.Tensor(ctx, sig.Metadata, sig.Inputs[at], files, p.limits)
	if err != nil && ctx.Err() == nil {
		return t, fmt.Errorf("%w: input %.80q is BYTES: %w", modelrt.ErrInput, name, err)
	}
	return t, err
}
