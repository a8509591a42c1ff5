package runtime

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckInputs(t *testing.T) {
	sig := Signature{Inputs: []Port{
		{Name: "x", DType: U8, Shape: []int64{-1, 2}},
		{Name: "rate", DType: U8, Shape: []int64{}},
	}}
	x, rate := Tensor{U8, []int64{3, 2}, make([]byte, 6)}, Tensor{U8, []int64{}, []byte{1}}
	for name, c := range map[string]struct {
		inputs map[string]Tensor
		text   string // empty: accepted
	}{
		"fits":                   {map[string]Tensor{"x": x, "rate": rate}, ""},
		"any shape for no shape": {map[string]Tensor{"x": x, "rate": {U8, []int64{1}, []byte{1}}}, ""},
		"missing":                {map[string]Tensor{"x": x}, `"rate" is missing (the model takes x u8[-1 2], rate u8[])`},
		"unknown":                {map[string]Tensor{"x": x, "rate": rate, "y": x}, `no input "y"`},
		"wrong type":             {map[string]Tensor{"x": {I8, x.Shape, x.Data}, "rate": rate}, "is i8, the model takes u8"},
		"wrong rank":             {map[string]Tensor{"x": {U8, []int64{6}, x.Data}, "rate": rate}, "has shape [6]"},
		"wrong size":             {map[string]Tensor{"x": {U8, []int64{2, 3}, x.Data}, "rate": rate}, "has shape [2 3]"},
		"malformed":              {map[string]Tensor{"x": {U8, x.Shape, x.Data[:5]}, "rate": rate}, "there are 5"},
	} {
		t.Run(name, func(t *testing.T) {
			err := sig.CheckInputs(c.inputs)
			if c.text == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want ErrInput that says %q", err, c.text)
			}
		})
	}
}
