package golden

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// affine is a model of y = scale*x + shift, which a test makes wrong.
type affine struct {
	scale, shift float32
	ints         bool // it gives integers
	err          error
}

func (affine) Close() error { return nil }

func (a affine) Signature() modelrt.Signature {
	out := modelrt.Port{Name: "y", DType: modelrt.F32, Shape: []int64{-1}}
	if a.ints {
		out.DType = modelrt.I64
	}
	return modelrt.Signature{Inputs: []modelrt.Port{{Name: "x", DType: modelrt.F32, Shape: []int64{-1}}}, Outputs: []modelrt.Port{out}}
}

func (a affine) Run(_ context.Context, in map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	if a.err != nil {
		return nil, a.err
	}
	if err := a.Signature().CheckInputs(in); err != nil {
		return nil, err
	}
	x := in["x"]
	y := make([]float32, x.Len())
	for i := range y {
		y[i] = a.scale*float32(x.At(i)) + a.shift
	}
	if a.ints {
		t := modelrt.Tensor{DType: modelrt.I64, Shape: x.Shape}
		for _, v := range y {
			t.Data = binary.LittleEndian.AppendUint64(t.Data, uint64(int64(v)))
		}
		return map[string]modelrt.Tensor{"y": t}, nil
	}
	return map[string]modelrt.Tensor{"y": floats(y...)}, nil
}

func floats(values ...float32) modelrt.Tensor {
	t := modelrt.Tensor{DType: modelrt.F32, Shape: []int64{int64(len(values))}, Data: []byte{}}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

// written is a golden set of two cases that model made.
func written(t *testing.T, model affine, rules map[string]Rule) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "golden")
	cases := []map[string]modelrt.Tensor{{"x": floats(1, -2, 3, 0)}, {"x": floats(5, 4, 3)}}
	if err := Write(t.Context(), model, cases, rules, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheck(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		rules       map[string]Rule
		made, shown affine
		ok          bool
	}{
		"same":                  {nil, affine{scale: 2}, affine{scale: 2}, true},
		"within rtol":           {nil, affine{scale: 2}, affine{scale: 2.0019}, true},
		"beyond rtol":           {nil, affine{scale: 2}, affine{scale: 2.0021}, false},
		"beyond atol":           {nil, affine{scale: 2}, affine{scale: 2, shift: 1e-4}, false},
		"nan as expected":       {nil, affine{scale: nan}, affine{scale: nan}, true},
		"nan":                   {nil, affine{scale: 2}, affine{scale: nan}, false},
		"nan expected":          {nil, affine{scale: nan}, affine{scale: 2}, false},
		"nan by cosine":         {map[string]Rule{"y": {Metric: Cosine, Min: 0.1}}, affine{scale: 2}, affine{scale: nan}, false},
		"nan by top1":           {map[string]Rule{"y": {Metric: Top1, Min: 0.1}}, affine{scale: 2}, affine{scale: nan}, false},
		"nan by mean":           {map[string]Rule{"y": {Metric: MeanAbs, Max: 9e99}}, affine{scale: 2}, affine{scale: nan}, false},
		"cosine ignores scale":  {map[string]Rule{"*": {Metric: Cosine, Min: 0.9999}}, affine{scale: 2}, affine{scale: 3}, true},
		"cosine sees direction": {map[string]Rule{"y": {Metric: Cosine, Min: 0.99}}, affine{scale: 2}, affine{scale: 2, shift: 3}, false},
		"same largest":          {map[string]Rule{"y": {Metric: Top1, Min: 1}}, affine{scale: 2}, affine{scale: 9, shift: 7}, true},
		"other largest":         {map[string]Rule{"y": {Metric: Top1, Min: 1}}, affine{scale: 2}, affine{scale: -1}, false},
		"mean":                  {map[string]Rule{"y": {Metric: MeanAbs, Max: 0.11}}, affine{scale: 2}, affine{scale: 2, shift: 0.1}, true},
		"mean beyond":           {map[string]Rule{"y": {Metric: MeanAbs, Max: 0.09}}, affine{scale: 2}, affine{scale: 2, shift: 0.1}, false},
		"integers":              {nil, affine{scale: 2, ints: true}, affine{scale: 2, ints: true}, true},
		"integers off by one":   {nil, affine{scale: 2, ints: true}, affine{scale: 2, shift: 1, ints: true}, false},
		"another type":          {nil, affine{scale: 2, ints: true}, affine{scale: 2}, false},
		"specific beats any": {
			map[string]Rule{"*": {Metric: Element}, "y": {Metric: Element, RTol: 0.5}},
			affine{scale: 2},
			affine{scale: 2.5},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			checks, err := Checker{}.Check(t.Context(), written(t, c.made, c.rules), c.shown)
			if c.ok != (err == nil) || (err != nil && !errors.Is(err, ErrMismatch)) {
				t.Fatalf("got %v", err)
			}
			if len(checks) != 1 || checks[0].OK != c.ok || checks[0].Cases != 2 || math.IsInf(checks[0].Value, 0) || math.IsNaN(checks[0].Value) {
				t.Errorf("got %+v", checks)
			}
			if !c.ok && !strings.Contains(err.Error(), "(test_data_set_") {
				t.Errorf("%q does not name a case", err)
			}
		})
	}
}

func TestCheckErrors(t *testing.T) {
	dir := written(t, affine{scale: 2}, nil)
	if _, err := (Checker{}).Check(t.Context(), dir, affine{err: modelrt.ErrRun}); !errors.Is(err, modelrt.ErrRun) || errors.Is(err, ErrSet) {
		t.Errorf("a run that fails: %v", err)
	}
	if _, err := (Checker{}).Check(t.Context(), dir, affine{err: modelrt.ErrInput}); !errors.Is(err, ErrSet) {
		t.Errorf("inputs that do not fit: %v", err)
	}
	inputs, err := Checker{}.Inputs(dir, affine{}.Signature())
	if err != nil || !reflect.DeepEqual(inputs, map[string]modelrt.Tensor{"x": floats(1, -2, 3, 0)}) {
		t.Errorf("inputs: %v, %v", inputs, err)
	}
}

// ONNX's own tests leave names out, and a single case lies in the folder itself.
func TestByPosition(t *testing.T) {
	dir := t.TempDir()
	for name, values := range map[string]modelrt.Tensor{"input_0.pb": floats(1), "output_0.pb": floats(2)} {
		data, err := EncodeTensor("", values)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (Checker{}).Check(t.Context(), dir, affine{scale: 2}); err != nil {
		t.Error(err)
	}
	if _, err := (Checker{}).Check(t.Context(), dir, affine{scale: 3}); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := written(t, affine{scale: 2}, nil)
	for name, c := range map[string]struct {
		change func(dir string) error
		text   string
	}{
		"nothing":     {os.RemoveAll, "no such file"},
		"two layouts": {func(d string) error { return os.WriteFile(filepath.Join(d, "input_0.pb"), nil, 0o600) }, "beside"},
		"no case": {func(d string) error {
			return errors.Join(os.RemoveAll(filepath.Join(d, "test_data_set_0")), os.RemoveAll(filepath.Join(d, "test_data_set_1")))
		}, "no test_data_set_0"},
		"gap": {func(d string) error {
			return os.Rename(filepath.Join(d, "test_data_set_0/input_0.pb"), filepath.Join(d, "test_data_set_0/input_1.pb"))
		}, "input_0.pb"},
		"no output": {func(d string) error { return os.Remove(filepath.Join(d, "test_data_set_0/output_0.pb")) }, "no output_0.pb"},
		"link outside": {func(d string) error {
			p := filepath.Join(d, "test_data_set_0/input_0.pb")
			return errors.Join(os.Remove(p), os.Symlink("/etc/hostname", p))
		}, "escapes"},
		"a folder": {func(d string) error {
			p := filepath.Join(d, "test_data_set_0/input_0.pb")
			return errors.Join(os.Remove(p), os.Mkdir(p, 0o700))
		}, "not a regular file"},
		"bad rules": {func(d string) error { return os.WriteFile(filepath.Join(d, RulesName), []byte(`{"schema":2}`), 0o600) }, "schema 2"},
		"unknown rule": {func(d string) error {
			return os.WriteFile(filepath.Join(d, RulesName), []byte(`{"schema":1,"outputs":{"z":{"metric":"top1","min":1}}}`), 0o600)
		}, `"z"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "set")
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := (Checker{}).Check(t.Context(), dir, affine{scale: 2}); !errors.Is(err, ErrSet) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want ErrSet that says %q", err, c.text)
			}
		})
	}
}

func TestRandomIsTheSameEverywhere(t *testing.T) {
	sig := modelrt.Signature{}
	for _, d := range []modelrt.DType{modelrt.F32, modelrt.F64, modelrt.F16, modelrt.BF16, modelrt.I8, modelrt.I64, modelrt.BOOL} {
		sig.Inputs = append(sig.Inputs, modelrt.Port{Name: string(d), DType: d, Shape: []int64{-1, 8}})
	}
	a, err := Random(sig, 7, 2)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Random(sig, 7, 2)
	if err != nil || !reflect.DeepEqual(a, b) || reflect.DeepEqual(a[0], a[1]) {
		t.Errorf("not one series: %v", err)
	}
	for _, tensor := range a[1] {
		if err := tensor.Validate(); err != nil {
			t.Error(err)
		}
		for i := range tensor.Len() {
			if v := tensor.At(i); math.IsNaN(v) || math.Abs(v) > 10 {
				t.Errorf("%s holds %v", tensor.DType, v)
			}
		}
	}
	sig.Inputs[0].Shape = []int64{1 << 40}
	if _, err := Random(sig, 7, 1); !errors.Is(err, modelrt.ErrTensor) {
		t.Errorf("a terabyte of inputs: %v", err)
	}
}

func TestReadInputs(t *testing.T) {
	sig := affine{}.Signature()
	if got, err := ReadInputs(written(t, affine{scale: 1}, nil), sig); err != nil || len(got) != 2 || got[1]["x"].Len() != 3 {
		t.Errorf("of a golden set: %v, %v", got, err)
	}
	dir := t.TempDir()
	if _, err := ReadInputs(dir, sig); !errors.Is(err, ErrSet) {
		t.Errorf("of nothing: %v", err)
	}
	f, err := os.Create(filepath.Join(dir, "x.npy"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(modelrt.WriteNPY(f, floats(4, 2)), f.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadInputs(dir, sig); err != nil || len(got) != 1 || got[0]["x"].At(0) != 4 {
		t.Errorf("of NumPy files: %v, %v", got, err)
	}
}

func FuzzDecodeRules(f *testing.F) {
	f.Add([]byte(`{"schema":1,"outputs":{"y":{"metric":"element","rtol":0.1}}}`))
	f.Add([]byte(`{"schema":1,"outputs":{"*":{"metric":"cosine","min":0.9}}} `))
	f.Add([]byte(`{"schema":1,"outputs":{"y":{"metric":"cosine","max":2}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRules(data)
		if err != nil {
			return
		}
		for name, rule := range r.Outputs {
			if err := rule.Validate(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
