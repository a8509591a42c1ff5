//go:build cgo && (linux || darwin)

package onnx

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// The binding (yalue/onnxruntime_go 1.27.0) makes the outputs of a run itself,
// save for two kinds that it gets wrong and that must be made beforehand, with
// exactly the shape they will have: float16 and bfloat16, of which it copies
// half the bytes, and scalars, which it refuses. Where a model does not state
// such a shape, it is learnt: a run with another shape fails, and the
// library's error tells both ("OrtValue shape verification failed. Current
// shape:{1} Requested shape:{2,3}", ExecutionFrame in
// onnxruntime/core/framework/execution_frame.cc). So the first run on inputs
// of new shapes may run more than once; what was learnt is kept per shapes of
// the inputs.

// maxRemembered bounds how many shapes of inputs are kept per session.
const maxRemembered = 64

// outputPlan says how one output of a run is made.
type outputPlan struct {
	dtype modelrt.DType
	auto  bool // by the binding; shape has no meaning then
	shape []int64
	sure  bool // shape is the model's own word, or was learnt
}

// half tells whether d is a type that the binding cannot take from the library.
func half(d modelrt.DType) bool { return d == modelrt.F16 || d == modelrt.BF16 }

// plan is how all outputs of a run are made, in the model's order.
type plan []outputPlan

// firstPlan is the plan for a model of which only the signature is known.
func firstPlan(outputs []modelrt.Port) plan {
	p := make(plan, len(outputs))
	for i, port := range outputs {
		stated := len(port.Shape) > 0 && slices.Min(port.Shape) >= 0
		switch {
		case half(port.DType) && stated:
			p[i] = outputPlan{dtype: port.DType, shape: port.Shape, sure: true}
		case half(port.DType):
			// A guess that no other output shares, so that the error tells
			// which one it is about.
			p[i] = outputPlan{dtype: port.DType, shape: []int64{int64(i + 1)}}
		case len(port.Shape) == 0:
			p[i] = outputPlan{dtype: port.DType, shape: []int64{}}
		default:
			p[i] = outputPlan{dtype: port.DType, auto: true, sure: true}
		}
	}
	return p
}

// maxAttempts bounds the runs of one request: every failure that teaches
// something settles one output, and a scalar that was taken for something else
// may take two.
func (p plan) maxAttempts() int { return 2*len(p) + 2 }

// makeOutputs makes the values that the binding does not make. On an error the
// values made so far are returned too.
func (p plan) makeOutputs(pinner *runtime.Pinner) ([]ort.Value, error) {
	out := make([]ort.Value, len(p))
	for i, o := range p {
		if o.auto {
			continue
		}
		t, err := modelrt.NewTensor(o.dtype, o.shape, modelrt.MaxTensorBytes)
		if err != nil {
			return out, err
		}
		v, err := makeValue(t, pinner)
		if err != nil {
			return out, err
		}
		out[i] = v
	}
	return out, nil
}

// shapesInError finds the two shapes in the library's error.
var shapesInError = regexp.MustCompile(`Current shape:\{([0-9,]*)\} Requested shape:\{([0-9,]*)\}`)

// learn changes p by what the error of a run tells, and reports whether it
// told anything. out are the values of that run.
func (p plan) learn(err error, out []ort.Value) bool {
	if errors.Is(err, ort.ZeroShapeLengthError) {
		// The binding converts outputs in order and stops at the first scalar.
		for i := range p {
			if p[i].auto && isNil(out[i]) {
				p[i] = outputPlan{dtype: p[i].dtype, shape: []int64{}, sure: true}
				return true
			}
		}
		return false
	}
	m := shapesInError.FindStringSubmatch(err.Error())
	if m == nil {
		return false
	}
	current, requested := parseShape(m[1]), parseShape(m[2])
	matches := func(unsure bool) int {
		return slices.IndexFunc(p, func(o outputPlan) bool {
			return !o.auto && !(unsure && o.sure) && slices.Equal(o.shape, current)
		})
	}
	at := matches(true)
	if at < 0 {
		at = matches(false)
	}
	switch {
	case at < 0:
		return false
	case half(p[at].dtype):
		p[at].shape, p[at].sure = requested, true
	default:
		p[at] = outputPlan{dtype: p[at].dtype, auto: true}
	}
	return true
}

func parseShape(text string) []int64 {
	shape := []int64{}
	for part := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseInt(part, 10, 64); err == nil {
			shape = append(shape, n)
		}
	}
	return shape
}

// shapeMemory keeps the plans that worked, by the shapes of the inputs. It is
// safe for concurrent use.
type shapeMemory struct {
	first plan
	fixed bool // first is sure: there is nothing to learn

	mu    sync.Mutex
	known map[string]plan
}

func newShapeMemory(outputs []modelrt.Port) *shapeMemory {
	first := firstPlan(outputs)
	unsure := slices.ContainsFunc(first, func(o outputPlan) bool { return !o.sure })
	return &shapeMemory{first: first, fixed: !unsure, known: make(map[string]plan)}
}

// key names the shapes of a request's inputs.
func (m *shapeMemory) key(ports []modelrt.Port, inputs map[string]modelrt.Tensor) string {
	if m.fixed {
		return ""
	}
	var b strings.Builder
	for _, p := range ports {
		fmt.Fprint(&b, inputs[p.Name].Shape)
	}
	return b.String()
}

// recall returns a plan for inputs of these shapes, the caller's to change.
func (m *shapeMemory) recall(key string) plan {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.known[key]; ok {
		return slices.Clone(p)
	}
	return slices.Clone(m.first)
}

// remember keeps a plan that worked.
func (m *shapeMemory) remember(key string, p plan) {
	if m.fixed {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.known[key]; !ok && len(m.known) >= maxRemembered {
		for victim := range maps.Keys(m.known) {
			delete(m.known, victim)
			break
		}
	}
	m.known[key] = p
}
