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
// library's error tells which it should have been, see shapesInError. So the
// first run on inputs of new shapes may run more than once; what was learnt is
// kept per shapes of the inputs. (Where a scalar was not stated as one, the
// binding fails after the run and loses the outputs behind it, a leak that
// happens once per such output.)

// maxRemembered bounds how many shapes of inputs are kept per session.
const maxRemembered = 64

// outputPlan says how one output of a run is made.
type outputPlan struct {
	name  string
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
		p[i] = outputPlan{name: port.Name, dtype: port.DType}
		switch {
		case half(port.DType) && stated:
			p[i].shape, p[i].sure = port.Shape, true
		case half(port.DType):
			p[i].shape = guess(port.Shape, int64(i+1))
		case len(port.Shape) == 0:
			p[i].shape = []int64{}
		default:
			p[i].auto, p[i].sure = true, true
		}
	}
	return p
}

// guess returns a shape that fits what the model states, with the mark where
// it states nothing first, and 1 elsewhere. Outputs with different marks can
// be told apart by their shapes.
func guess(stated []int64, mark int64) []int64 {
	if len(stated) == 0 {
		return []int64{mark}
	}
	shape := slices.Clone(stated)
	for i, n := range shape {
		if n < 0 {
			shape[i], mark = mark, 1
		}
	}
	return shape
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

// shapesInError finds the shapes in the library's error about an output of
// another shape than it computes, with the output's name where it tells it.
// Version 1.32 says "The output OrtValue provided for output 'y' of node
// 'n' (Op) has shape {1} but the computed output shape for this run is {2,3}"
// (onnxruntime/core/framework/op_kernel.cc), earlier ones "OrtValue shape
// verification failed. Current shape:{1} Requested shape:{2,3}"
// (onnxruntime/core/framework/execution_frame.cc).
var shapesInError = regexp.MustCompile(
	`(?s)(?:output '(.*?)' of node '.*has shape |Current shape:)\{([0-9,]*)\} ` +
		`(?:but the computed output shape for this run is |Requested shape:)\{([0-9,]*)\}`)

// learn changes p by what the error of a run tells, and reports whether it
// told anything. out are the values of that run.
func (p plan) learn(err error, out []ort.Value) bool {
	if errors.Is(err, ort.ZeroShapeLengthError) {
		// The binding converts outputs in order and stops at the first scalar.
		for i := range p {
			if p[i].auto && isNil(out[i]) {
				p[i].auto, p[i].shape, p[i].sure = false, []int64{}, true
				return true
			}
		}
		return false
	}
	m := shapesInError.FindStringSubmatch(err.Error())
	if m == nil {
		return false
	}
	at := p.find(m[1], parseShape(m[2]))
	switch {
	case at < 0:
		return false
	case half(p[at].dtype):
		p[at].shape, p[at].sure = parseShape(m[3]), true
	default:
		p[at].auto, p[at].shape = true, nil
	}
	return true
}

// find returns which output, made beforehand with this shape, an error is
// about: the one of that name, else one whose shape was only a guess, else
// any; -1 for none.
func (p plan) find(name string, shape []int64) int {
	for _, fits := range []func(o outputPlan) bool{
		func(o outputPlan) bool { return o.name == name },
		func(o outputPlan) bool { return !o.sure },
		func(outputPlan) bool { return true },
	} {
		at := slices.IndexFunc(p, func(o outputPlan) bool {
			return !o.auto && slices.Equal(o.shape, shape) && fits(o)
		})
		if at >= 0 {
			return at
		}
	}
	return -1
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
