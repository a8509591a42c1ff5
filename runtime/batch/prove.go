package batch

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// proofs is how many pairs must agree before requests are batched.
const proofs = 3

// tolerance is how far a float of a batch may be from that of the request
// alone, as a part of the largest magnitude in the request's output. Sums of a
// few thousand products in binary32 differ by about 1e-6 of it when they are
// added in another order; a scale of quantization that is shared by a batch
// shows as 1e-3 and more.
const tolerance = 1e-4

// prove answers a pair from runs alone, and compares these with one together.
func (s *session) prove(g *group) {
	parts, joined := g.join()
	answers := make([]result, len(parts))
	good := true
	for i, r := range g.members {
		answers[i].outputs, answers[i].err = s.inner.Run(r.ctx, parts[i])
		good = good && answers[i].err == nil
	}
	defer func() {
		for i, r := range g.members {
			r.done <- answers[i]
		}
	}()
	if !good {
		s.judge(false, nil)
		return
	}
	ctx, cancel := g.context()
	outputs, err := s.inner.Run(ctx, joined)
	stopped := ctx.Err() != nil
	cancel()
	if stopped {
		s.judge(false, nil)
		return
	}
	if err == nil {
		err = agree(outputs, answers, g.members)
	}
	s.judge(true, err)
}

// judge ends a proof: it counts if compared is true, and disagreement says how
// alone and together differ.
func (s *session) judge(compared bool, disagreement error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proving = false
	switch {
	case !compared:
	case disagreement != nil:
		s.verdict = never
		s.log.Info("requests are not batched: alone and together the model answers differently", slog.Any("reason", disagreement))
	default:
		if s.agreed++; s.agreed == proofs {
			s.verdict = proven
			s.log.Info("requests are batched: alone and together the model answers the same", slog.Int("pairs", proofs))
		}
	}
}

// agree returns how the outputs of a joined run differ from the answers alone.
func agree(outputs map[string]modelrt.Tensor, answers []result, members []*request) error {
	shares, err := split(outputs, members)
	if err != nil {
		return err
	}
	for i, share := range shares {
		for name, alone := range answers[i].outputs {
			if err := same(alone, share[name]); err != nil {
				return fmt.Errorf("output %q: %w", name, err)
			}
		}
	}
	return nil
}

// same returns how together differs from alone, beyond tolerance.
func same(alone, together modelrt.Tensor) error {
	if alone.DType != together.DType || !slices.Equal(alone.Shape, together.Shape) {
		return fmt.Errorf("%s%v alone, %s%v together", alone.DType, alone.Shape, together.DType, together.Shape)
	}
	at := element(alone.DType)
	size := alone.DType.Size()
	var largest float64
	if at != nil {
		for i := 0; i < len(alone.Data); i += size {
			if v := math.Abs(at(alone.Data[i:])); v > largest && !math.IsInf(v, 0) {
				largest = v
			}
		}
	}
	for i := 0; i < len(alone.Data); i += size {
		x, y := alone.Data[i:i+size], together.Data[i:i+size]
		if string(x) == string(y) {
			continue
		}
		if at == nil {
			return fmt.Errorf("element %d of %s is %x alone, %x together", i/size, alone.DType, x, y)
		}
		a, b := at(x), at(y)
		if close := math.Abs(a-b) <= tolerance*largest; !close && !(math.IsNaN(a) && math.IsNaN(b)) {
			return fmt.Errorf("element %d is %g alone, %g together", i/size, a, b)
		}
	}
	return nil
}

// element returns how to read an element of a type that is compared within a
// tolerance, nil for a type that is compared exactly.
func element(d modelrt.DType) func([]byte) float64 {
	switch d {
	case modelrt.F32:
		return func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }
	case modelrt.F64:
		return func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }
	}
	return nil
}
