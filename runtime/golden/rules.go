package golden

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// RulesName is the file of a set that says what is compared how.
const RulesName = "golden.json"

const (
	rulesSchema   = 1
	maxRulesBytes = 64 << 10
	anyOutput     = "*"
)

// Metric names a way to compare an output with the expected one.
type Metric string

// The metrics. Cosine and MeanAbs take all elements as one vector, Top1 takes
// the largest element along the last axis.
const (
	Element Metric = "element"  // every element within atol + rtol*|expected|
	Cosine  Metric = "cosine"   // of the angle, the least of all cases
	Top1    Metric = "top1"     // share of rows, of all cases, with the same largest element
	MeanAbs Metric = "mean_abs" // mean of |difference|, the largest of all cases
)

// Rule is how one output is compared.
type Rule struct {
	Metric Metric `json:"metric"`
	// RTol and ATol are of Element: relative and absolute, not negative.
	RTol float64 `json:"rtol,omitempty"`
	ATol float64 `json:"atol,omitempty"`
	// Min is of Cosine and Top1: the least value that passes, in (0, 1].
	Min float64 `json:"min,omitempty"`
	// Max is of MeanAbs: the largest value that passes, above 0.
	Max float64 `json:"max,omitempty"`
}

// DefaultRule is the rule of outputs for which golden.json has none; see the
// package comment for where the numbers come from.
func DefaultRule(d modelrt.DType) Rule {
	switch d {
	case modelrt.F32, modelrt.F64:
		return Rule{Metric: Element, RTol: 1e-3, ATol: 1e-5}
	case modelrt.F16:
		return Rule{Metric: Element, RTol: 1e-2, ATol: 1e-3}
	case modelrt.BF16:
		return Rule{Metric: Element, RTol: 4e-2, ATol: 1e-2}
	}
	return Rule{Metric: Element}
}

// Validate refuses unknown metrics, bounds out of range, and bounds of another
// metric.
func (r Rule) Validate() error {
	rest := r
	rest.Metric = ""
	switch r.Metric {
	case Element:
		if r.RTol < 0 || r.ATol < 0 {
			return errors.New("rtol and atol must not be negative")
		}
		rest.RTol, rest.ATol = 0, 0
	case Cosine, Top1:
		if r.Min <= 0 || r.Min > 1 {
			return fmt.Errorf("%s needs a min above 0, at most 1", r.Metric)
		}
		rest.Min = 0
	case MeanAbs:
		if r.Max <= 0 {
			return errors.New("mean_abs needs a max above 0")
		}
		rest.Max = 0
	default:
		return fmt.Errorf("metric %q is none of element, cosine, top1, mean_abs", r.Metric)
	}
	if rest != (Rule{}) {
		return fmt.Errorf("%s with the bound of another metric", r.Metric)
	}
	return nil
}

// rules is golden.json.
type rules struct {
	Schema  int             `json:"schema"`
	Outputs map[string]Rule `json:"outputs"`
}

// of returns the rule for an output.
func (r rules) of(output string, d modelrt.DType) Rule {
	if rule, ok := r.Outputs[output]; ok {
		return rule
	}
	if rule, ok := r.Outputs[anyOutput]; ok {
		return rule
	}
	return DefaultRule(d)
}

// readRules reads golden.json, which need not be there.
func readRules(root *os.Root) (rules, error) {
	data, err := readBounded(root, RulesName, maxRulesBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return rules{}, nil
	}
	if err != nil {
		return rules{}, err
	}
	r, err := decodeRules(data)
	if err != nil {
		return rules{}, fmt.Errorf("%s: %w", RulesName, err)
	}
	return r, nil
}

// decodeRules is strict: known fields only, one value, valid rules.
func decodeRules(data []byte) (rules, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var r rules
	if err := dec.Decode(&r); err != nil {
		return rules{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return rules{}, errors.New("something follows the rules")
	}
	if r.Schema != rulesSchema {
		return rules{}, fmt.Errorf("schema %d, this program knows %d", r.Schema, rulesSchema)
	}
	if len(r.Outputs) > MaxPorts {
		return rules{}, fmt.Errorf("%d outputs, at most %d", len(r.Outputs), MaxPorts)
	}
	for name, rule := range r.Outputs {
		if err := rule.Validate(); err != nil {
			return rules{}, fmt.Errorf("output %q: %w", name, err)
		}
	}
	return r, nil
}
