package chunker

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// What a table keeps does not hang on the order in which it was told, and it
// never holds more than twice what fits.
func TestTensorTableKeepsTheSameInAnyOrder(t *testing.T) {
	const count = 2*manifest.MaxTensors + 10_000
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]entry, count)
	for i := range all {
		all[i].Tensor = manifest.Tensor{
			Name: fmt.Sprintf("layer.%d", r.IntN(count)), DType: "i8",
			Offset: uint64(100 * i), Length: uint64(r.IntN(100)),
		}
		all[i].Shape = []uint64{all[i].Length}
	}
	var want []manifest.Tensor
	for round := range 2 {
		var table tensorTable
		for _, e := range all {
			table.add(e)
			if len(table.entries) > 2*manifest.MaxTensors || table.bytes > 2*maxTableBytes {
				t.Fatalf("%d entries of %d bytes are held", len(table.entries), table.bytes)
			}
		}
		got, err := table.separate(&source{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == count {
			t.Fatal("everything fitted: the test shows nothing")
		}
		if round == 0 {
			want = got
		} else if !reflect.DeepEqual(want, got) {
			t.Fatalf("another order, another table: %d tensors, %d before", len(got), len(want))
		}
		r.Shuffle(count, func(i, k int) { all[i], all[k] = all[k], all[i] })
	}
}

// Where tensors share bytes the longer stays, and equal regions are one.
func TestLongestOfOverlapping(t *testing.T) {
	for _, c := range []struct {
		in   [][2]uint64 // offset, length
		want string
	}{
		{[][2]uint64{{0, 8}, {8, 8}}, "0+8 8+8 "},
		{[][2]uint64{{0, 8}, {0, 8}}, "0+8 "},
		{[][2]uint64{{0, 8}, {0, 4}, {4, 4}}, "0+8 "},
		{[][2]uint64{{0, 8}, {4, 16}, {20, 1}}, "4+16 20+1 "},
		{nil, ""},
	} {
		var table tensorTable
		for _, e := range c.in {
			table.add(entry{Tensor: manifest.Tensor{Offset: e[0], Length: e[1]}})
		}
		got := ""
		for _, x := range table.longest() {
			got += fmt.Sprintf("%d+%d ", x.Offset, x.Length)
		}
		if got != c.want {
			t.Errorf("%v: got %q, want %q", c.in, got, c.want)
		}
	}
}
