package align_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
)

// align aligns the update and fails the test if more than lost of the saving
// is.
func (u *update) align(tb testing.TB, lost float64) (perms [][]uint32, aligned []align.Aligned) {
	tb.Helper()
	perms, aligned, err := align.Permutations(tb.Context(), u.pairs)
	if err != nil {
		tb.Fatal(err)
	}
	u.recovered(tb, perms, aligned)
	each, all := u.wasted(perms, aligned)
	if all > lost {
		tb.Errorf("%.4f of what permutations save is lost, want %.4f; by tensor %.3f, aligned %v", all, lost, each, aligned)
	}
	return perms, aligned
}

// flat is a net as chess engines have them: one large layer whose units are
// columns, and an output that sees them from both sides.
func flat(rnd *rand.Rand, inputs, hidden int) *network {
	n := new(network)
	h := n.layer(hidden)
	n.add(rnd, inputs, hidden, 1, 0, h)
	n.add(rnd, hidden, 1, 1, h, 0)
	n.add(rnd, 2*hidden, 1, 1, 0, 0)
	return n
}

// convs is three convolutions with biases, norms and a depthwise one between.
func convs(rnd *rand.Rand) *network {
	n := new(network)
	a, b := n.layer(48), n.layer(96)
	n.add(rnd, 48, 3, 9, a, 0)
	n.add(rnd, 48, 1, 1, a, 0)
	n.add(rnd, 48, 1, 25, a, 0)
	n.add(rnd, 96, 48, 9, b, a)
	n.add(rnd, 96, 1, 1, b, 0)
	n.add(rnd, 96, 1, 1, b, 0)
	n.add(rnd, 10, 96, 1, 0, b)
	return n
}

// Every shape of network is put back in order, in every class of numbers.
func TestShapes(t *testing.T) {
	for _, net := range []struct {
		name   string
		make   func(rnd *rand.Rand) *network
		layers int
	}{
		{"fully connected", func(rnd *rand.Rand) *network { return mlp(rnd, 40, 128, 128, 64, 10) }, 3},
		{"wide", func(rnd *rand.Rand) *network { return mlp(rnd, 16, 3000, 16) }, 1},
		{"convolutions", convs, 2},
		{"flat", func(rnd *rand.Rand) *network { return flat(rnd, 300, 256) }, 1},
	} {
		for _, class := range []codec.Class{codec.F32, codec.F64, codec.F16, codec.BF16, codec.I16, codec.Int8} {
			for _, noise := range []float64{0, 1e-3, 1e-2} {
				t.Run(fmt.Sprintf("%s/%s/%g", net.name, classNames[class], noise), func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(7, uint64(class)))
					perms, _ := net.make(rnd).reorder(rnd, class, noise).align(t, 0.002)
					if len(perms) != net.layers {
						t.Errorf("%d permutations, want %d: one for each layer", len(perms), net.layers)
					}
				})
			}
		}
	}
}

// The gates of a recurrent cell are runs of rows, so units move in all of them
// alike and rows need no more than to be rows; biases follow even with noise.
func TestRecurrentCell(t *testing.T) {
	for _, noise := range []float64{0, 1e-3} {
		rnd := rand.New(rand.NewPCG(8, 8))
		const hidden, gates = 64, 4
		n := new(network)
		h, stacked := n.layer(hidden), n.layer(gates*hidden)
		n.add(rnd, gates*hidden, 40, 1, stacked, 0)
		n.add(rnd, gates*hidden, hidden, 1, stacked, h)
		n.add(rnd, gates*hidden, 1, 1, stacked, 0)
		n.add(rnd, gates*hidden, 1, 1, stacked, 0)
		n.add(rnd, 5, hidden, 1, 0, h)
		units := rnd.Perm(hidden)
		order := []int{0, 2, 3, 1} // iofc to ifco, as between ONNX and PyTorch
		var all []int
		for _, g := range order {
			for _, u := range units {
				all = append(all, g*hidden+u)
			}
		}
		perms, aligned := n.update(rnd, codec.F32, noise, [][]int{nil, units, all}).align(t, 0.001)
		if len(perms) != 2 || aligned[2] != aligned[3] || aligned[0].Row != aligned[2].Row {
			t.Errorf("%d permutations, aligned %v: want one of units, one of gates' rows", len(perms), aligned)
		}
	}
}

// An output that holds a layer's units twice follows them, though no tensor
// of its length tells how.
func TestBothPerspectives(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	n := flat(rnd, 200, 128)
	n.tensors[2].rowUnits = n.layer(256)
	units := rnd.Perm(128)
	twice := slices.Clone(units)
	for _, u := range units {
		twice = append(twice, 128+u)
	}
	for _, class := range []codec.Class{codec.F32, codec.I16} {
		_, aligned := n.update(rnd, class, 1e-3, [][]int{nil, units, twice}).align(t, 0.001)
		if aligned[2].Row < 0 {
			t.Errorf("%s: the output stays as it stands: %v", classNames[class], aligned)
		}
	}
}

// Units that one tensor cannot tell apart are told apart by the next one.
func TestTies(t *testing.T) {
	rnd := rand.New(rand.NewPCG(10, 10))
	for _, class := range []codec.Class{codec.F32, codec.Int8} {
		n := mlp(rnd, 30, 96, 20)
		clear(n.tensors[0].v[:40*30]) // forty dead units, with biases and outputs of their own
		for i := 41; i < 50; i++ {    // and some twins
			copy(n.tensors[0].v[i*30:][:30], n.tensors[0].v[40*30:][:30])
		}
		u := n.reorder(rnd, class, 0)
		perms, aligned := u.align(t, 0)
		if each, _ := u.recovered(t, perms, aligned); slices.Min(each) < 1 {
			t.Errorf("%s: not all of a bit-identical network recovered: %v", classNames[class], each)
		}
	}
}

// Few units that changed places among many are found, too.
func TestFewUnitsMoved(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 11))
	for _, noise := range []float64{0, 1e-3} {
		n := mlp(rnd, 100, 200, 50)
		p := inOrder(200)
		p[17], p[150], p[60] = 150, 60, 17
		n.update(rnd, codec.F32, noise, [][]int{nil, p}).align(t, 0.001)
	}
}

// Unsigned bytes around 128, as quantizers make them, are as good as signed
// ones around 0.
func TestUnsignedBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(12, 12))
	u := mlp(rnd, 64, 128, 96, 10).reorder(rnd, codec.Int8, 1e-2)
	for _, data := range [][]byte{u.old, u.now} {
		for i := range data {
			data[i] ^= 0x80
		}
	}
	perms, _ := u.again().align(t, 0.002)
	if len(perms) != 2 {
		t.Errorf("%d permutations, want 2", len(perms))
	}
}

// Units that only resemble their predecessors make a basis if they hold enough
// information, and none if they do not.
func TestResemblance(t *testing.T) {
	for _, c := range []struct {
		noise float64
		want  int
	}{{0.3, 1}, {1.5, 0}, {20, 0}} {
		rnd := rand.New(rand.NewPCG(13, 13))
		n := flat(rnd, 700, 256)
		perms, _, err := align.Permutations(t.Context(), n.reorder(rnd, codec.F32, c.noise).pairs)
		if err != nil {
			t.Fatal(err)
		}
		if len(perms) != c.want {
			t.Errorf("noise of %g: %d permutations, want %d", c.noise, len(perms), c.want)
		}
	}
}

// What was not re-ordered is left as it stands.
func TestInPlace(t *testing.T) {
	still := func(n *network) [][]int { return make([][]int, len(n.units)) }
	change := map[string]func(rnd *rand.Rand, u *update){
		"nothing": func(*rand.Rand, *update) {},
		"half pruned": func(rnd *rand.Rand, u *update) {
			for i := 0; i < len(u.now); i += 4 {
				if rnd.IntN(2) == 0 {
					clear(u.now[i : i+4])
				}
			}
		},
		"one number in a hundred": func(rnd *rand.Rand, u *update) {
			for i := 0; i < len(u.now); i += 4 {
				if rnd.IntN(100) == 0 {
					u.now[i] ^= 0x55
				}
			}
		},
		"new head": func(rnd *rand.Rand, u *update) {
			for i := len(u.now) - 8000; i < len(u.now); i++ {
				u.now[i] = byte(rnd.Uint32())
			}
		},
		"all zero": func(_ *rand.Rand, u *update) { clear(u.now) },
	}
	for _, name := range []string{"nothing", "half pruned", "one number in a hundred", "new head", "all zero"} {
		for _, noise := range []float64{0, 1e-4, 1e-2, 1e-1} {
			rnd := rand.New(rand.NewPCG(14, 14))
			n := mlp(rnd, 50, 200, 100, 20)
			u := n.update(rnd, codec.F32, noise, still(n))
			change[name](rnd, u)
			perms, aligned, err := align.Permutations(t.Context(), u.again().pairs)
			if err != nil || len(perms) != 0 {
				t.Errorf("%s, noise %g: %d permutations %v, %v", name, noise, len(perms), aligned, err)
			}
		}
	}
}

// Any permutation of any layers of a network is found.
func TestAnyPermutation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		class := rapid.SampledFrom([]codec.Class{codec.F32, codec.BF16, codec.I16, codec.Int8}).Draw(rt, "class")
		noise := rapid.SampledFrom([]float64{0, 1e-4, 3e-3}).Draw(rt, "noise")
		sizes := rapid.SliceOfN(rapid.IntRange(24, 120), 3, 5).Draw(rt, "sizes")
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := mlp(rnd, sizes...)
		perms := make([][]int, len(n.units))
		for i := range perms {
			if rapid.Bool().Draw(rt, "moved") {
				perms[i] = rapid.Permutation(inOrder(n.units[i])).Draw(rt, "permutation")
			}
		}
		u := n.update(rnd, class, noise, perms)
		found, aligned, err := align.Permutations(t.Context(), u.pairs)
		if err != nil {
			rt.Fatal(err)
		}
		checkPerms(t, u.pairs, found, aligned)
		if _, lost := u.wasted(found, aligned); lost > 0.02 {
			rt.Fatalf("%.4f of the saving is lost: %v", lost, aligned)
		}
	})
}

// Whatever the bytes are, the result is one: no panic, bijections only.
func FuzzPermutations(f *testing.F) {
	f.Add([]byte{}, uint8(5), uint8(3), uint8(4), uint8(1))
	f.Add(binary.LittleEndian.AppendUint32(nil, 0x7fc00000), uint8(5), uint8(16), uint8(9), uint8(2))
	f.Add([]byte("a few bytes that repeat"), uint8(1), uint8(40), uint8(40), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, class, r, c, b uint8) {
		m := align.Matrix{Class: codec.Class(class % 9), Rows: int(r%64) + 1, Cols: int(c%64) + 1, Block: int(b%4) + 1}
		size := m.Rows * m.Cols * m.Block * m.Class.Width()
		u := &update{old: make([]byte, size), now: make([]byte, size)}
		for i := range size {
			if len(data) > 0 {
				u.old[i], u.now[i] = data[i%len(data)], data[(i*7+3)%len(data)]
			}
		}
		u.pairs = []align.Pair{{Old: m, New: m}, {Old: m, New: m}}
		perms, aligned, err := align.Permutations(t.Context(), u.again().pairs)
		if err != nil {
			t.Fatal(err)
		}
		checkPerms(t, u.pairs, perms, aligned)
	})
}
