package delta

import (
	"fmt"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// codeOrder codes a permutation of 0..len(order)-1. Each number is the one after
// the one before, which an adaptive bit tells, or any of those that are left,
// all alike: so a random order takes log2(n!) bits, and one in which whole runs
// moved little more than the runs.
func codeOrder(c *mix.Coder, order []uint32) error {
	n := len(order)
	left := newFenwick(n)
	next := [2]mix.Slot{mix.NewSlot, mix.NewSlot}
	context, follows := 0, 0
	for i := range order {
		if !c.Decodes() && (int(order[i]) >= n || !left.has(int(order[i]))) {
			return fmt.Errorf("order %d at %d is none of those left", order[i], i)
		}
		if follows < n && left.has(follows) {
			bit := 0
			if int(order[i]) == follows {
				bit = 1
			}
			if context = next[context].Code(c, bit, numberLimit); context == 1 {
				order[i] = uint32(follows)
				left.take(follows)
				follows++
				continue
			}
		}
		order[i] = uint32(left.code(c, int(order[i])))
		left.take(int(order[i]))
		follows = int(order[i]) + 1
	}
	if err := c.Err(); err != nil {
		return fmt.Errorf("%w: permutation: %w", ErrDelta, err)
	}
	return nil
}

// fenwick counts which of the numbers from 0 up are left (P. Fenwick, "A new
// data structure for cumulative frequency tables", 1994), over a power of two
// of them.
type fenwick struct {
	sums []int32
	size int
}

func newFenwick(n int) *fenwick {
	f := &fenwick{size: 1 << bits.Len(uint(max(n-1, 1)))}
	f.sums = make([]int32, f.size+1)
	for i := 1; i <= f.size; i++ {
		if i <= n {
			f.sums[i]++
		}
		if up := i + i&-i; up <= f.size {
			f.sums[up] += f.sums[i]
		}
	}
	return f
}

// below returns how many numbers less than i are left.
func (f *fenwick) below(i int) (n int32) {
	for ; i > 0; i -= i & -i {
		n += f.sums[i]
	}
	return n
}

func (f *fenwick) has(i int) bool { return f.below(i+1) > f.below(i) }

func (f *fenwick) take(i int) {
	for i++; i <= f.size; i += i & -i {
		f.sums[i]--
	}
}

// code codes v, one of the numbers left, each as likely as the other, by
// halving: the chance of the lower half is its part of what is left.
func (f *fenwick) code(c *mix.Coder, v int) int {
	low, total := 0, f.sums[f.size]
	for half := f.size / 2; half > 0; half /= 2 {
		in := f.sums[low+half]
		bit := 0
		if v < low+half {
			bit = 1
		}
		switch in {
		case 0:
			bit = 0
		case total:
			bit = 1
		default:
			p := uint32(uint64(in) << 16 / uint64(total))
			bit = c.Code(bit, min(max(p, 1), 65535))
		}
		if bit == 1 {
			total = in
		} else {
			low += half
			total -= in
		}
	}
	return low
}
