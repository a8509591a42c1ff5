package synth

import (
	"math"
	"slices"
	"testing"
)

func TestGaussIsNormal(t *testing.T) {
	r := newRandom("test")
	for name, draw := range map[string]func() float64{"gauss": r.gauss, "rough": r.rough} {
		var sum, squares, within float64
		const n = 200_000
		for range n {
			g := draw()
			sum += g
			squares += g * g
			if math.Abs(g) < 1 {
				within++
			}
		}
		if mean := sum / n; math.Abs(mean) > 0.01 {
			t.Errorf("%s: mean %g", name, mean)
		}
		if variance := squares / n; math.Abs(variance-1) > 0.02 {
			t.Errorf("%s: variance %g", name, variance)
		}
		if share := within / n; math.Abs(share-0.6827) > 0.01 {
			t.Errorf("%s: %g within one sigma, want 0.6827", name, share)
		}
	}
}

// ramp is a tensor of the numbers 1, 2, 3 and so on.
func ramp(name string, shape ...int) tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	t := tensor{name: name, shape: shape}
	for i := range n {
		t.data = append(t.data, float32(i+1))
	}
	return t
}

func TestPermute(t *testing.T) {
	x := ramp("x", 2, 3, 2)
	x.permute(1, 1, []int{1, 0})
	if want := []float32{1, 2, 5, 6, 3, 4, 7, 8, 11, 12, 9, 10}; !slices.Equal(x.data, want) {
		t.Errorf("%v, want %v", x.data, want)
	}
}

// TestReorderComputesTheSame: a hidden layer in another order gives the same
// sums, and the tensors given stay as they are.
func TestReorderComputesTheSame(t *testing.T) {
	tensors := []tensor{ramp("in", 5, 3), ramp("bias", 5), ramp("out", 2, 5)}
	got, err := reorder(tensors, []group{{{"in", 0, 0}, {"bias", 0, 0}, {"out", 1, 0}}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	apply := func(n []tensor) (out [2]float32) {
		x := [3]float32{1, -2, 5}
		for h := range 5 {
			sum := n[1].data[h]
			for i := range 3 {
				sum += n[0].data[h*3+i] * x[i]
			}
			for o := range 2 {
				out[o] += n[2].data[o*5+h] * max(sum, 0)
			}
		}
		return out
	}
	if a, b := apply(tensors), apply(got); a != b {
		t.Errorf("%v before, %v after", a, b)
	}
	if slices.Equal(got[0].data, tensors[0].data) {
		t.Error("nothing moved")
	}
	if _, err := reorder(tensors, []group{{{"in", 0, 0}, {"out", 0, 0}}}, "test"); err == nil {
		t.Error("five units fit into an axis of two")
	}
	if _, err := reorder(tensors, []group{{{"none", 0, 0}}}, "test"); err == nil {
		t.Error("a tensor that is not there was put in order")
	}
}

func TestPrune(t *testing.T) {
	matrix, vector := ramp("m", 2, 5), ramp("v", 4)
	matrix.data[9] = -0.5
	got := prune([]tensor{matrix, vector}, 50)
	if want := []float32{0, 0, 0, 0, 5, 6, 7, 8, 9, 0}; !slices.Equal(got[0].data, want) {
		t.Errorf("%v, want %v", got[0].data, want)
	}
	if !slices.Equal(got[1].data, vector.data) {
		t.Error("a vector was pruned")
	}
}

func TestScatterChangesOneInAHundred(t *testing.T) {
	x := ramp("x", 100_000)
	changed := 0
	for i, v := range scatter([]tensor{x}, 100, "test")[0].data {
		if v != x.data[i] {
			changed++
		}
	}
	if changed < 900 || changed > 1100 {
		t.Errorf("%d of 100000 changed", changed)
	}
}

func TestGrow(t *testing.T) {
	for _, tt := range []struct{ axis, at, length int }{{0, 6, 12}, {-1, 3, 10}} {
		got := grow([]tensor{ramp("x", 2, 3)}, tt.axis, 2, "test", "x")[0]
		if len(got.data) != tt.length {
			t.Fatalf("axis %d: %d elements, want %d", tt.axis, len(got.data), tt.length)
		}
		if got.data[0] != 1 || got.data[tt.at-1] != float32(tt.at) {
			t.Errorf("axis %d: old weights moved: %v", tt.axis, got.data)
		}
	}
}
