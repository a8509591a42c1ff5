package batch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// group is requests that run together.
type group struct {
	members []*request
	bytes   int64         // of all their inputs
	copied  chan struct{} // closed once the members' inputs are not read any more
}

// runGroup runs a group as one, and its members one by one if that fails.
func (s *session) runGroup(g *group) {
	parts, joined := g.join()
	ctx, cancel := g.context()
	outputs, err := s.inner.Run(ctx, joined)
	stopped := ctx.Err() != nil
	cancel()
	if stopped {
		return // everybody has left
	}
	var shares []map[string]modelrt.Tensor
	if err == nil {
		shares, err = split(outputs, g.members)
	}
	if err != nil {
		s.log.Warn("batch failed, its requests run one by one", slog.Int("requests", len(g.members)), slog.Any("error", err))
		s.runParts(g, parts)
		return
	}
	for i, r := range g.members {
		r.done <- result{outputs: shares[i]}
	}
}

// runParts answers the members one by one.
func (s *session) runParts(g *group, parts []map[string]modelrt.Tensor) {
	for i, r := range g.members {
		outputs, err := s.inner.Run(r.ctx, parts[i])
		r.done <- result{outputs, err}
	}
}

// context ends once the contexts of all members have ended. The function it
// returns must be called.
func (g *group) context() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var left atomic.Int64
	left.Store(int64(len(g.members)))
	stops := make([]func() bool, len(g.members))
	for i, r := range g.members {
		stops[i] = context.AfterFunc(r.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// join copies the members' inputs one after the other, and returns for each
// member its part of the copy, and the whole.
func (g *group) join() (parts []map[string]modelrt.Tensor, joined map[string]modelrt.Tensor) {
	joined = make(map[string]modelrt.Tensor, len(g.members[0].inputs))
	parts = make([]map[string]modelrt.Tensor, len(g.members))
	for i := range parts {
		parts[i] = make(map[string]modelrt.Tensor, len(joined))
	}
	for name, first := range g.members[0].inputs {
		t := modelrt.Tensor{DType: first.DType, Shape: slices.Clone(first.Shape)}
		t.Shape[0] = 0
		var size int
		for _, r := range g.members {
			t.Shape[0] += r.rows
			size += len(r.inputs[name].Data)
		}
		t.Data = make([]byte, 0, size)
		for i, r := range g.members {
			in, from := r.inputs[name], len(t.Data)
			t.Data = append(t.Data, in.Data...)
			parts[i][name] = modelrt.Tensor{DType: in.DType, Shape: slices.Clone(in.Shape), Data: t.Data[from:]}
		}
		joined[name] = t
	}
	close(g.copied)
	return parts, joined
}

// split returns each member's share of the outputs of a joined run. The shares
// lie in the outputs' own memory, without overlap.
func split(outputs map[string]modelrt.Tensor, members []*request) ([]map[string]modelrt.Tensor, error) {
	var rows int64
	for _, r := range members {
		rows += r.rows
	}
	shares := make([]map[string]modelrt.Tensor, len(members))
	for i := range shares {
		shares[i] = make(map[string]modelrt.Tensor, len(outputs))
	}
	for name, t := range outputs {
		if len(t.Shape) == 0 || t.Shape[0] != rows {
			return nil, fmt.Errorf("%w: output %q of %d rows of input has shape %v", modelrt.ErrRun, name, rows, t.Shape)
		}
		rowBytes, from := int64(len(t.Data))/rows, int64(0)
		for i, r := range members {
			to := from + r.rows*rowBytes
			share := modelrt.Tensor{DType: t.DType, Shape: slices.Clone(t.Shape), Data: t.Data[from:to:to]}
			share.Shape[0] = r.rows
			shares[i][name], from = share, to
		}
	}
	return shares, nil
}
