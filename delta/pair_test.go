package delta

import (
	"bytes"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// regionsOf lays regions out one after the other and fills a file with their
// bytes.
func regionsOf(list []region, contents ...[]byte) ([]region, []byte) {
	var file []byte
	out := slices.Clone(list)
	for i := range out {
		out[i].at, out[i].size = int64(len(file)), int64(len(contents[i]))
		file = append(file, contents[i]...)
	}
	return out, file
}

// Regions are paired by name, class and shape; then by content; then by
// likeness; then across classes.
func TestPairing(t *testing.T) {
	f32 := func(name string, shape ...uint64) region { return region{name: name, class: codec.F32, shape: shape} }
	w := func(seed uint64) []byte { return weightBytes(seed, 600) }
	far := func(b []byte) []byte { // other weights altogether
		out := make([]byte, len(b))
		for i := range len(b) / 4 {
			copy(out[4*i:4*i+4], b[len(b)-4*i-4:])
		}
		return out
	}
	for _, c := range []struct {
		name     string
		old, new []region
		was, is  [][]byte
		want     []basis
	}{
		{
			"name",
			[]region{f32("a", 20, 30), f32("b", 20, 30)},
			[]region{f32("b", 20, 30), f32("a", 20, 30)},
			[][]byte{w(1), far(w(1))},
			[][]byte{w(2), w(3)},
			[]basis{{old: 1, sure: true}, {old: 0, sure: true}},
		},
		{
			"name, turned",
			[]region{f32("a", 20, 30)},
			[]region{f32("a", 30, 20)},
			[][]byte{w(1)},
			[][]byte{w(2)},
			[]basis{{old: 0, sure: true}},
		},
		{
			"content wins over another shape",
			[]region{f32("a", 20, 30), f32("b", 20, 30)},
			[]region{f32("b", 600)},
			[][]byte{w(1), far(w(1))},
			[][]byte{w(1)},
			[]basis{{old: 0, sure: true}},
		},
		{
			"content, renamed and moved",
			[]region{f32("a", 600), f32("b", 600)},
			[]region{f32("y", 600), f32("x", 600)},
			[][]byte{w(1), far(w(1))},
			[][]byte{far(w(1)), w(1)},
			[]basis{{old: 1, sure: true}, {old: 0, sure: true}},
		},
		{
			"likeness",
			[]region{f32("a", 600), f32("b", 600)},
			[]region{f32("y", 600), f32("x", 600)},
			[][]byte{far(w(1)), w(1)},
			[][]byte{w(2), far(w(2))},
			[]basis{{old: 1}, {old: 0}},
		},
		{
			"other sizes",
			[]region{f32("a", 600)},
			[]region{f32("b", 300)},
			[][]byte{w(1)},
			[][]byte{far(w(1))[:1200]},
			[]basis{{old: -1}},
		},
		{
			"class, by name",
			[]region{f32("b", 600), f32("a", 600)},
			[]region{{name: "a", class: codec.BF16, shape: []uint64{600}}},
			[][]byte{w(1), w(2)},
			[][]byte{w(1)[:1200]},
			[]basis{{old: 1, converted: true}},
		},
		{
			"class, by shape, in order",
			[]region{f32("a", 600), f32("b", 600)},
			[]region{{name: "x", class: codec.BF16, shape: []uint64{600}}, {name: "y", class: codec.BF16, shape: []uint64{600}}},
			[][]byte{w(1), w(2)},
			[][]byte{w(1)[:1200], w(2)[:1200]},
			[]basis{{old: 0, converted: true}, {old: 1, converted: true}},
		},
		{
			"bytes are no array",
			[]region{{class: codec.Other}},
			[]region{{class: codec.Other}},
			[][]byte{w(1)},
			[][]byte{w(2)},
			[]basis{{old: -1}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			olds, was := regionsOf(c.old, c.was...)
			news, is := regionsOf(c.new, c.is...)
			got, err := pair(t.Context(), openView(t, was), openView(t, is), olds, news)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal([]basis(got), c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// The sketch tells files apart by any of the bytes it reads, and reads a file
// of any size in little time.
func TestSketch(t *testing.T) {
	for _, size := range []int{0, 1, sketchRuns * sketchRunBytes, sketchRuns*sketchRunBytes + 1, 3 << 20} {
		data := randomBytes(1, size)
		a, err := sketch(bytes.NewReader(data), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		last := size - 1 // that is read
		if size > sketchRuns*sketchRunBytes {
			last = (size-sketchRunBytes)/(sketchRuns-1)*(sketchRuns-1) + sketchRunBytes - 1
		}
		for _, at := range []int{0, last} {
			if size == 0 {
				continue
			}
			data[at] ^= 1
			if b, err := sketch(bytes.NewReader(data), int64(size)); err != nil || b == a {
				t.Errorf("byte %d of %d: %x, %v", at, size, b, err)
			}
			data[at] ^= 1
		}
	}
	if _, err := sketch(bytes.NewReader(nil), 1<<20); err == nil {
		t.Error("sketch of a file that is shorter than said")
	}
}
