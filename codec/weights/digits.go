package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// upperNodes are the nodes of a tree of the first three digits, from 1.
const upperNodes = 8

// digits code the bits of a magnitude below its first.
type digits struct {
	near    [span][upperNodes]mix.Slot            // by how far the class is from the forecast
	class   [classes][upperNodes]mix.Slot         // by the class
	scale   [exps][4][upperNodes]mix.Slot         // by the basis element's size and how many digits there are
	outlook [sureSteps][4][4][upperNodes]mix.Slot // by what the array itself foretells
	plain   [upperNodes]mix.Slot
	lower   [classes][classes]mix.Slot // by the class and the digit's place
	mixer   *mix.Mixer4
}

func (d *digits) init() {
	for i := range d.near {
		mix.Fill(d.near[i][:])
	}
	for i := range d.class {
		mix.Fill(d.class[i][:])
		mix.Fill(d.lower[i][:])
	}
	for i := range d.scale {
		for j := range d.scale[i] {
			mix.Fill(d.scale[i][j][:])
		}
	}
	for i := range d.outlook {
		for j := range d.outlook[i] {
			for k := range d.outlook[i][j] {
				mix.Fill(d.outlook[i][j][k][:])
			}
		}
	}
	mix.Fill(d.plain[:])
	d.mixer = mix.NewMixer4(upperNodes, 1<<14, 3)
}

// code codes the low n bits of v, whose class is k.
func (d *digits) code(c *mix.Coder, e *setting, k, n int, v uint64) uint64 {
	near, class := &d.near[e.off(k)], &d.class[k]
	third := &d.scale[e.scale][min(n, 3)]
	if e.foretold {
		third = d.foretold(e, k)
	}
	var out uint64
	node := 1
	i := n - 1
	for ; i >= 0 && node < upperNodes; i-- {
		slots := [4]*mix.Slot{&near[node], &class[node], &third[node], &d.plain[node]}
		bit := d.mixer.Code(c, node, &slots, int(v>>i&1), slowLimit)
		node = node<<1 | bit
		out = out<<1 | uint64(bit)
	}
	lower := &d.lower[k]
	for ; i >= 0; i-- {
		out = out<<1 | uint64(lower[i].Code(c, int(v>>i&1), slowLimit))
	}
	return out
}

// foretold returns the slots by what is foretold: where that is of the same
// class its upper bits tell.
func (d *digits) foretold(e *setting, k int) *[upperNodes]mix.Slot {
	g := distance(e.guess, 0)
	n := bits.Len64(g)
	upper := 0
	if n > 2 {
		upper = int(g>>(n-3)) & 3
	}
	apart := n - (guessBits + 1) + lastClass - k
	return &d.outlook[e.sure][min(max(apart+1, 0), 3)][upper]
}
