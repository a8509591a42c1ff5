package golden

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Checker implements modelrt.Checker. Its zero value is ready.
type Checker struct{}

// Check runs the golden set in dir on s; see modelrt.Checker.
func (Checker) Check(ctx context.Context, dir string, s modelrt.Session) (_ []modelrt.GoldenCheck, err error) {
	set, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	return set.Check(ctx, s)
}

// Inputs returns the inputs of the first case; see modelrt.Checker.
func (Checker) Inputs(dir string, sig modelrt.Signature) (_ map[string]modelrt.Tensor, err error) {
	set, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	c, err := set.Read(0)
	if err != nil {
		return nil, err
	}
	return match(c.Name, "input", c.Inputs, sig.Inputs)
}

// Check runs every case on session, one after the other, and returns one check
// per output, in the model's order. Errors wrap ErrSet, ErrMismatch (the checks
// are returned with it), or are those of Run; a set whose inputs do not fit the
// model is ErrSet.
func (s *Set) Check(ctx context.Context, session modelrt.Session) ([]modelrt.GoldenCheck, error) {
	sig := session.Signature()
	compared := make(map[string]*comparison)
	for i := range s.Len() {
		if err := s.checkCase(ctx, session, i, compared); err != nil {
			return nil, err
		}
	}
	for name := range s.rules.Outputs {
		if name != anyOutput && compared[name] == nil {
			return nil, fmt.Errorf("%w: %s has a rule for %q, of which no case has an output", ErrSet, RulesName, name)
		}
	}
	var checks []modelrt.GoldenCheck
	var wrong []string
	for _, port := range sig.Outputs {
		c := compared[port.Name]
		if c == nil {
			continue
		}
		check := c.result()
		checks = append(checks, check)
		if !check.OK {
			wrong = append(wrong, Describe(check))
		}
	}
	if len(wrong) > 0 {
		return checks, fmt.Errorf("%w: %s", ErrMismatch, strings.Join(wrong, "; "))
	}
	return checks, nil
}

func (s *Set) checkCase(ctx context.Context, session modelrt.Session, i int, compared map[string]*comparison) error {
	c, err := s.Read(i)
	if err != nil {
		return err
	}
	sig := session.Signature()
	inputs, err := match(c.Name, "input", c.Inputs, sig.Inputs)
	if err != nil {
		return err
	}
	want, err := match(c.Name, "output", c.Outputs, sig.Outputs)
	if err != nil {
		return err
	}
	got, err := session.Run(ctx, inputs)
	if errors.Is(err, modelrt.ErrInput) {
		return fmt.Errorf("%w: %s: %w", ErrSet, c.Name, err)
	}
	if err != nil {
		return fmt.Errorf("golden case %s: %w", c.Name, err)
	}
	for name, w := range want {
		if compared[name] == nil {
			compared[name] = newComparison(name, s.rules.of(name, w.DType))
		}
		compared[name].add(c.Name, got[name], w)
	}
	return nil
}

// match gives tensors to ports: by name where every tensor has the name of one,
// or else by position.
func match(where, what string, tensors []Named, ports []modelrt.Port) (map[string]modelrt.Tensor, error) {
	named := !slices.ContainsFunc(tensors, func(n Named) bool {
		return !slices.ContainsFunc(ports, func(p modelrt.Port) bool { return p.Name == n.Name })
	})
	out := make(map[string]modelrt.Tensor, len(tensors))
	for i, n := range tensors {
		name := n.Name
		if !named {
			if i >= len(ports) {
				return nil, fmt.Errorf("%w: %s has %d %ss, the model %d", ErrSet, where, len(tensors), what, len(ports))
			}
			name = ports[i].Name
		}
		if _, ok := out[name]; ok {
			return nil, fmt.Errorf("%w: %s has %s %q twice", ErrSet, where, what, name)
		}
		out[name] = n.Tensor
	}
	return out, nil
}

// Describe is one line about a check, for people.
func Describe(c modelrt.GoldenCheck) string {
	if c.Detail != "" {
		return fmt.Sprintf("%s (%s): %s", c.Output, c.Worst, c.Detail)
	}
	var text string
	switch {
	case c.Value == math.MaxFloat64:
		text = fmt.Sprintf("%s: %s beyond any bound (NaN, infinity, or what must be exact)", c.Output, c.Metric)
	case Metric(c.Metric) == Element:
		text = fmt.Sprintf("%s: largest difference %.3g, %.3g times what is allowed", c.Output, c.MaxAbs, c.Value)
	case Metric(c.Metric) == Cosine || Metric(c.Metric) == Top1:
		text = fmt.Sprintf("%s: %s %.6g, at least %.6g", c.Output, c.Metric, c.Value, c.Limit)
	default:
		text = fmt.Sprintf("%s: %s %.6g, at most %.6g", c.Output, c.Metric, c.Value, c.Limit)
	}
	if c.Worst != "" && !c.OK {
		text += " (" + c.Worst + ")"
	}
	return text
}
