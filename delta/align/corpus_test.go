package align_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Real updates: none of those in the corpus was re-ordered. Chess networks that
// were trained anew do resemble their predecessors in another order, but by too
// little to be worth it.
func TestRealUpdates(t *testing.T) {
	berserk := []align.Matrix{
		{Offset: 12, Class: codec.F32, Rows: 1536, Cols: 512, Block: 1},
		{Offset: 12 + 1536*512*4, Class: codec.F32, Rows: 512, Cols: 1, Block: 1},
		{Offset: 12 + 1537*512*4, Class: codec.F32, Rows: 1024, Cols: 1, Block: 1},
	}
	alexandria := []align.Matrix{
		{Class: codec.I16, Rows: 768, Cols: 1024, Block: 1},
		{Offset: 768 * 1024 * 2, Class: codec.I16, Rows: 1024, Cols: 1, Block: 1},
		{Offset: 769 * 1024 * 2, Class: codec.I16, Rows: 2048, Cols: 1, Block: 1},
	}
	for _, c := range []struct {
		name, old, now string
		matrices       []align.Matrix // nil: by the layout
	}{
		{"fine-tuned f32", "berserk-3152k/01-2022-02-07/default.nn", "berserk-3152k/02-2022-02-09/default.nn", berserk},
		{"fine-tuned int16", "alexandria-1579k/04-2023-11-04/nn.net", "alexandria-1579k/05-2023-11-04/nn.net", alexandria},
		{"trained anew, alike", "berserk-3152k/03-2022-04-19/default.nn", "berserk-3152k/04-2022-04-26/default.nn", berserk},
		{"trained anew", "silero-onnx/v6.0/silero_vad.onnx", "silero-onnx/v6.2/silero_vad.onnx", nil},
		{"trained anew, larger", "magika-onnx/3-v3_0a/model.onnx", "magika-onnx/4-v3_0b/model.onnx", nil},
		{"graph only", "silero-onnx/v5.0/silero_vad.onnx", "silero-onnx/v5.1/silero_vad.onnx", nil},
		{"another checkpoint in another container", "silero-16k-onnx/v6.2/silero_vad_16k_op15.onnx", "silero-16k-safetensors/v6.2/silero_vad_16k.safetensors", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, oldMatrices := load(t, c.old, c.matrices)
			now, newMatrices := load(t, c.now, c.matrices)
			var pairs []align.Pair
			for _, n := range newMatrices {
				same := func(o align.Matrix) bool {
					return o.Class == n.Class && o.Rows == n.Rows && o.Cols == n.Cols && o.Block == n.Block
				}
				if k := slices.IndexFunc(oldMatrices, same); k >= 0 {
					p := align.Pair{Old: oldMatrices[k], New: n}
					p.Old.R, p.New.R = old, now
					pairs = append(pairs, p)
					oldMatrices = slices.Delete(slices.Clone(oldMatrices), k, k+1)
				}
			}
			if len(pairs) == 0 {
				t.Fatal("nothing to pair")
			}
			begun := time.Now()
			perms, aligned, err := align.Permutations(t.Context(), pairs)
			if err != nil {
				t.Fatal(err)
			}
			checkPerms(t, pairs, perms, aligned)
			t.Logf("%d pairs, %d permutations, %v", len(pairs), len(perms), time.Since(begun).Round(time.Millisecond))
			if len(perms) != 0 {
				t.Errorf("%d permutations, want none: %v", len(perms), aligned)
			}
		})
	}
}

// load opens a corpus file; its matrices are as given or those of its layout.
func load(t *testing.T, name string, given []align.Matrix) (*bytes.Reader, []align.Matrix) {
	t.Helper()
	path := corpus.File(t, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if given != nil {
		return bytes.NewReader(data), given
	}
	l, err := chunker.Layout(t.Context(), bytes.NewReader(data), int64(len(data)), path, chunker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var matrices []align.Matrix
	for _, x := range l.Tensors {
		if x.Length >= 64 && len(x.Shape) > 0 {
			matrices = append(matrices, matrixOf(x))
		}
	}
	return bytes.NewReader(data), matrices
}

// matrixOf takes a tensor's first two sides as rows and columns.
func matrixOf(x manifest.Tensor) align.Matrix {
	m := align.Matrix{Offset: int64(x.Offset), Class: codec.ClassOf(x.DType), Rows: int(x.Shape[0]), Cols: 1, Block: 1}
	if len(x.Shape) > 1 {
		m.Cols = int(x.Shape[1])
		for _, s := range x.Shape[2:] {
			m.Block *= int(s)
		}
	}
	return m
}
