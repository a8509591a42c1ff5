//go:build cgo && (linux || darwin)

package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// loadModel loads a model of this test's making.
func loadModel(tb testing.TB, m model) modelrt.Session {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "model.onnx")
	if err := os.WriteFile(path, m.encode(), 0o644); err != nil {
		tb.Fatal(err)
	}
	s, err := newEngine(tb).Load(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// identity is y = x.
func identity(elem uint64, shape ...int64) model {
	v := valueType{elem: elem, shape: shape}
	return model{opset: 17, op: "Identity", in: v, out: v}
}

// TestEveryTypeComesThrough runs y = x for every type, for shapes that the
// model states and shapes that it does not, with and without elements.
func TestEveryTypeComesThrough(t *testing.T) {
	for elem, dtype := range map[uint64]modelrt.DType{
		1: modelrt.F32, 2: modelrt.U8, 3: modelrt.I8, 4: modelrt.U16, 5: modelrt.I16, 6: modelrt.I32, 7: modelrt.I64,
		9: modelrt.BOOL, 10: modelrt.F16, 11: modelrt.F64, 12: modelrt.U32, 13: modelrt.U64, 16: modelrt.BF16,
	} {
		t.Run(string(dtype), func(t *testing.T) {
			for _, stated := range [][]int64{{2, 3}, {-1, -1}} {
				s := loadModel(t, identity(elem, stated...))
				for _, shape := range [][]int64{{2, 3}, {4, 1}, {2, 3}, {0, 3}} {
					if stated[0] >= 0 && !slices.Equal(shape, stated) {
						continue
					}
					x, err := modelrt.NewTensor(dtype, shape, 100)
					if err != nil {
						t.Fatal(err)
					}
					for i := range x.Data {
						x.Data[i] = byte(i) % 2
					}
					out, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": x})
					if err != nil {
						t.Fatalf("stated %v, given %v: %v", stated, shape, err)
					}
					y := out["y"]
					if y.DType != dtype || !slices.Equal(y.Shape, shape) || !bytes.Equal(y.Data, x.Data) {
						t.Fatalf("stated %v: %v came back as %v", stated, x, y)
					}
				}
			}
		})
	}
}

func TestScalarsComeThrough(t *testing.T) {
	for elem, dtype := range map[uint64]modelrt.DType{
		1: modelrt.F32, 2: modelrt.U8, 3: modelrt.I8, 4: modelrt.U16, 5: modelrt.I16, 6: modelrt.I32, 7: modelrt.I64,
		9: modelrt.BOOL, 11: modelrt.F64, 12: modelrt.U32, 13: modelrt.U64,
	} {
		for _, stated := range []bool{true, false} {
			m := identity(elem)
			m.out.noRank = !stated
			s := loadModel(t, m)
			x := modelrt.Tensor{DType: dtype, Shape: []int64{}, Data: bytes.Repeat([]byte{1}, dtype.Size())}
			for range 2 {
				out, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": x})
				if err != nil {
					t.Fatalf("%s, stated %v: %v", dtype, stated, err)
				}
				if y := out["y"]; y.DType != dtype || len(y.Shape) != 0 || !bytes.Equal(y.Data, x.Data) {
					t.Errorf("%s, stated %v: %v came back as %v", dtype, stated, x, y)
				}
			}
		}
	}
	t.Run("f16 cannot", func(t *testing.T) {
		s := loadModel(t, identity(elemHalf))
		_, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": {DType: modelrt.F16, Shape: []int64{}, Data: []byte{0, 0}}})
		if !errors.Is(err, modelrt.ErrInput) || !strings.Contains(err.Error(), "scalars of f16") {
			t.Errorf("got %v, want ErrInput", err)
		}
	})
}

// TestShapesThatTheModelDoesNotState runs a model whose ports have no rank.
func TestShapesThatTheModelDoesNotState(t *testing.T) {
	for elem, dtype := range map[uint64]modelrt.DType{elemFloat: modelrt.F32, elemHalf: modelrt.F16, elemBF16: modelrt.BF16} {
		m := identity(elem)
		m.in.noRank, m.out.noRank = true, true
		s := loadModel(t, m)
		for i := range 2*maxRemembered + 2 { // more than are kept
			shape := []int64{int64(i/2 + 1), 2, 1}
			x, err := modelrt.NewTensor(dtype, shape, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			x.Data[0] = 1
			out, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": x})
			if err != nil {
				t.Fatalf("%s%v: %v", dtype, shape, err)
			}
			if y := out["y"]; !slices.Equal(y.Shape, shape) || !bytes.Equal(y.Data, x.Data) {
				t.Fatalf("%v came back as %v", x, y)
			}
		}
	}
}

// TestSeveralOutputsAreToldApart learns the shapes of three outputs at once.
func TestSeveralOutputsAreToldApart(t *testing.T) {
	// Split of f16[-1] into three parts of sizes 1, 2 and 3 (input "s").
	half := valueType{elem: elemHalf, shape: []int64{-1, -1}}
	tensor := number(number(nil, 1, 3), 2, elemInt64) // dims 3, i64
	sizes := field(tensor, 7, []byte{1, 2, 3})        // int64_data, packed varints
	sizes = field(sizes, 8, []byte("s"))
	m := model{
		opset: 17, op: "Split", in: half, out: half, moreOuts: []valueType{half, half},
		inputs: []string{"x", "s"}, tensors: field(nil, 5, sizes), attrs: attrInt("axis", 1),
	}
	s := loadModel(t, m)
	for range 2 {
		x := modelrt.Tensor{DType: modelrt.F16, Shape: []int64{1, 6}, Data: []byte("aabbccddeeff")}
		out, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"y": "aa", "y1": "bbcc", "y2": "ddeeff"} {
			if got := out[name]; string(got.Data) != want || !slices.Equal(got.Shape, []int64{1, int64(len(want) / 2)}) {
				t.Errorf("%s is %v %q, want %q", name, got.Shape, got.Data, want)
			}
		}
	}
}

func TestInputsAtOddAddresses(t *testing.T) {
	s := loadModel(t, identity(elemFloat, -1))
	buffer := []byte("xaaaabbbb")
	out, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": {DType: modelrt.F32, Shape: []int64{2}, Data: buffer[1:]}})
	if err != nil || string(out["y"].Data) != "aaaabbbb" {
		t.Errorf("got %q, %v", out["y"].Data, err)
	}
}

func TestOutputsAreTheCallersOwn(t *testing.T) {
	s := loadModel(t, identity(elemFloat, -1))
	x := modelrt.Tensor{DType: modelrt.F32, Shape: []int64{1}, Data: []byte("aaaa")}
	first, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	copy(x.Data, "bbbb")
	if _, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": x}); err != nil {
		t.Fatal(err)
	}
	if string(first["y"].Data) != "aaaa" {
		t.Errorf("the first answer became %q", first["y"].Data)
	}
}

func TestStringsAreRefusedWhenLoading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, identity(elemStr, -1).encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := newEngine(t).Load(t.Context(), path)
	if !errors.Is(err, modelrt.ErrLoad) || !strings.Contains(err.Error(), "STRING") {
		t.Errorf("got %v, want ErrLoad that names the type", err)
	}
}

// TestExternalData loads a model whose weight lies in a file beside it, and
// refuses one whose weight would lie elsewhere.
func TestExternalData(t *testing.T) {
	weight := func(location string) model {
		w := number(number(nil, 1, 2), 2, elemFloat) // dims 2, f32
		w = field(w, 8, []byte("w"))
		for _, kv := range [][2]string{{"location", location}, {"offset", "0"}, {"length", "8"}} {
			w = field(w, 13, field(field(nil, 1, []byte(kv[0])), 2, []byte(kv[1])))
		}
		w = number(w, 14, 1) // data_location EXTERNAL
		return model{opset: 17, op: "Add", in: f32Type(2), out: f32Type(2), inputs: []string{"x", "w"}, tensors: field(nil, 5, w)}
	}
	data := f32([]int64{2}, func(i int) float32 { return float32(10 * (i + 1)) }).Data
	dir := t.TempDir()
	for path, content := range map[string][]byte{
		"v/model.onnx": weight("weights.bin").encode(), "v/weights.bin": data,
		"v/outside.onnx": weight("../weights.bin").encode(), "weights.bin": data,
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t)
	s, err := e.Load(t.Context(), filepath.Join(dir, "v", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(t.Context(), map[string]modelrt.Tensor{"x": f32([]int64{2}, func(i int) float32 { return float32(i) })})
	if err != nil {
		t.Fatal(err)
	}
	if got := values(t, out["y"]); !slices.Equal(got, []float32{10, 21}) {
		t.Errorf("got %v", got)
	}
	if s, err := e.Load(t.Context(), filepath.Join(dir, "v", "outside.onnx")); err == nil {
		t.Error("a weight outside the variant's folder was loaded")
		s.Close()
	} else if !errors.Is(err, modelrt.ErrLoad) {
		t.Errorf("got %v, want ErrLoad", err)
	}
	if err := os.Remove(filepath.Join(dir, "v", "weights.bin")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Load(t.Context(), filepath.Join(dir, "v", "model.onnx")); !errors.Is(err, modelrt.ErrLoad) {
		t.Errorf("without its weights: got %v, want ErrLoad", err)
	}
}

func TestShapeMemoryIsBounded(t *testing.T) {
	m := newShapeMemory([]modelrt.Port{{Name: "y", DType: modelrt.F16, Shape: []int64{-1}}})
	for i := range 10 * maxRemembered {
		m.remember(fmt.Sprint(i), m.recall("x"))
	}
	if len(m.known) > maxRemembered {
		t.Errorf("%d plans are kept, at most %d", len(m.known), maxRemembered)
	}
}
