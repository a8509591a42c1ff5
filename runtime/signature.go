package runtime

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckInputs returns an error that wraps ErrInput unless inputs has exactly
// the signature's inputs, each a valid tensor of the right type and a shape
// that fits. A port with an empty shape fits every shape, since a rank that
// the model does not state looks the same as a scalar.
func (s Signature) CheckInputs(inputs map[string]Tensor) error {
	for _, p := range s.Inputs {
		t, ok := inputs[p.Name]
		if !ok {
			return fmt.Errorf("%w: input %q is missing (the model takes %s)", ErrInput, p.Name, describe(s.Inputs))
		}
		if t.DType != p.DType {
			return fmt.Errorf("%w: input %q is %s, the model takes %s", ErrInput, p.Name, t.DType, p.DType)
		}
		if err := t.Validate(); err != nil {
			return fmt.Errorf("%w: input %q: %w", ErrInput, p.Name, err)
		}
		if !p.fits(t.Shape) {
			return fmt.Errorf("%w: input %q has shape %v, the model takes %v (-1: any)", ErrInput, p.Name, t.Shape, p.Shape)
		}
	}
	if len(inputs) > len(s.Inputs) {
		known := make(map[string]bool, len(s.Inputs))
		for _, p := range s.Inputs {
			known[p.Name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			if !known[name] {
				return fmt.Errorf("%w: there is no input %q (the model takes %s)", ErrInput, name, describe(s.Inputs))
			}
		}
	}
	return nil
}

// fits tells whether a tensor of this shape can go into the port.
func (p Port) fits(shape []int64) bool {
	if len(p.Shape) == 0 {
		return true
	}
	if len(shape) != len(p.Shape) {
		return false
	}
	for i, n := range p.Shape {
		if n >= 0 && shape[i] != n {
			return false
		}
	}
	return true
}

// describe lists at most eight ports, such as "input f32[-1 512], sr i64[]".
func describe(ports []Port) string {
	const most = 8
	var out []string
	for _, p := range ports[:min(len(ports), most)] {
		out = append(out, fmt.Sprintf("%s %s%v", p.Name, p.DType, p.Shape))
	}
	if len(ports) > most {
		out = append(out, fmt.Sprintf("and %d more", len(ports)-most))
	}
	return strings.Join(out, ", ")
}
