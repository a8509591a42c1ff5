package align_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
)

var classNames = map[codec.Class]string{codec.F32: "f32", codec.F16: "f16", codec.BF16: "bf16", codec.Int8: "int8", codec.I16: "int16", codec.F64: "f64"}

// A real network whose hidden units were all shuffled is put back in order,
// bit-identical or fine-tuned.
func TestRealNetworkReordered(t *testing.T) {
	net := ocr(t)
	for _, class := range []codec.Class{codec.F32, codec.F16, codec.BF16, codec.Int8, codec.I16} {
		for _, noise := range []float64{0, 1e-3, 1e-2} {
			t.Run(fmt.Sprintf("%s/%g", classNames[class], noise), func(t *testing.T) {
				u := net.reorder(rand.New(rand.NewPCG(1, 2)), class, noise)
				begun := time.Now()
				perms, aligned, err := align.Permutations(t.Context(), u.pairs)
				if err != nil {
					t.Fatal(err)
				}
				_, right := u.recovered(t, perms, aligned)
				each, all := u.wasted(perms, aligned)
				t.Logf("%.4f of numbers recovered, %.4f of the saving lost, %d permutations of %d layers, %v", right, all, len(perms), len(net.units)-1, time.Since(begun).Round(time.Millisecond))
				for _, w := range worst(each, 4) {
					x := net.tensors[w]
					t.Logf("   %.3f lost of %s %dx%dx%d (%d,%d) %v", each[w], x.name, x.rows, x.cols, x.block, x.rowUnits, x.colUnit, aligned[w])
				}
				if all > 0.002 {
					t.Errorf("%.4f of what permutations save is lost, want 0.002", all)
				}
			})
		}
	}
}
