package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

const (
	// sparseRun is how many elements of a sparse array are coded as one: its
	// last gap ends with it, and gapClasses are more than its length has bits.
	sparseRun  = 1 << 20
	gapClasses = 32

	gapTrust = 12 // bits that a slot which expects a geometric distribution has as if seen
	gapMemo  = 32 // gaps in their average
	firstGap = 64 // the average to expect of the first array
)

// gaps code how many elements of a sparse array equal their basis before the
// next that does not: the number of bits as a path in a tree, by the size of the
// gaps before, and then the bits below the first. Where changes lie anywhere, as
// likely here as there, gaps are geometrically distributed, which is what slots
// expect at first, and their lower bits independent of each other.
type gaps struct {
	class [gapClasses][gapClasses][gapClasses]mix.Slot // by the average and the last
	upper [gapClasses][upperNodes]mix.Slot             // by the class
	lower [gapClasses][gapClasses]mix.Slot             // by the class and the place

	last int // the class of the last
	mean int // the average of the last ones, with fraction bits
	seen int // how many, up to gapMemo, and one
}

func newGaps() *gaps {
	g := &gaps{mean: firstGap << fraction}
	for i := range gapClasses {
		path := geometric(i)
		for j := range gapClasses {
			g.class[i][j] = path
		}
		mix.Fill(g.upper[i][:])
		mix.Fill(g.lower[i][:])
	}
	return g
}

// geometric returns the path of a class if gaps are geometrically distributed
// and their average is 3/4·2^k, which has k bits.
func geometric(k int) (path [gapClasses]mix.Slot) {
	var mass [2 * gapClasses]uint64 // of the nodes and, from gapClasses on, of the classes
	left := uint64(1) << 32         // of gaps as long or longer, in 2^32nds
	ratio := left - 4*left/(uint64(3)<<k+4)
	for i := range gapClasses {
		next := ratio // of gaps of 2^i or more: the ratio's 2^i-th power
		mass[gapClasses+i] = left - next + 1
		left, ratio = next, ratio*(ratio>>1)>>31
	}
	for node := gapClasses - 1; node > 0; node-- {
		mass[node] = mass[2*node] + mass[2*node+1]
		path[node] = mix.Slot(mass[2*node+1]<<22/mass[node]<<10 | gapTrust)
	}
	return path
}

// begin starts an array. What the last one was like is expected of it, until it
// tells.
func (g *gaps) begin() { g.seen = 1 }

// code codes a gap of n elements, below 2^31, and returns it.
func (g *gaps) code(c *mix.Coder, n int) int {
	k := bits.Len(uint(n))
	path := &g.class[bits.Len(uint(g.mean>>fraction))%gapClasses][g.last]
	node := 1
	for i := gapClasses / 2; i > 0; i >>= 1 {
		bit := 0
		if k&i != 0 {
			bit = 1
		}
		node = node<<1 | path[node].Code(c, bit, slowLimit)
	}
	k = node - gapClasses
	out := min(k, 1)
	upper, lower := &g.upper[k], &g.lower[k]
	for i := k - 2; i >= 0; i-- {
		s := &lower[i]
		if out < upperNodes {
			s = &upper[out]
		}
		out = out<<1 | s.Code(c, n>>i&1, slowLimit)
	}
	g.last = k
	g.seen = min(g.seen+1, gapMemo)
	g.mean += (out<<fraction - g.mean) / g.seen
	return out
}
