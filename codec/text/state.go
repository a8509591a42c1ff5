package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

// A state is what one context remembers of the bits that came in it, in a byte:
// all of them in order while they are few, later how many of each there were,
// within bounds, and which came last. States are to bits what the nonstationary
// states of paq are (M. Mahoney, "Data Compression Explained", section 4.1.3);
// the table is our own.

// history of a state while it is exact: at most this many bits.
const exactBits = 4

// mostOf[n] is the largest count beside a smaller count n.
var mostOf = [5]int{40, 24, 8, 5, 4}

// states are the transitions: next[s][bit], and what each stands for.
type states struct {
	next   [256][2]uint8
	n0, n1 [256]uint8
	prior  [256]mix.Slot // what a state foretells before anything is known of it
}

type stateKey struct{ n0, n1, last, exact int } // exact: the bits behind a leading 1, 0 if not exact

var history8 = makeStates()

func makeStates() *states {
	t := new(states)
	ids := map[stateKey]int{}
	var order []stateKey
	id := func(k stateKey) int {
		if i, ok := ids[k]; ok {
			return i
		}
		ids[k] = len(order)
		order = append(order, k)
		return len(order) - 1
	}
	id(stateKey{exact: 1})
	for i := 0; i < len(order); i++ {
		k := order[i]
		for bit := range 2 {
			t.next[i][bit] = uint8(id(k.after(bit)))
		}
		t.n0[i], t.n1[i] = uint8(k.n0), uint8(k.n1)
		t.prior[i] = k.prior()
	}
	if len(order) > 256 {
		panic("text: more states than a byte holds")
	}
	return t
}

// after returns the state that follows k when bit comes.
func (k stateKey) after(bit int) stateKey {
	same, other := k.n0, k.n1
	if bit == 1 {
		same, other = other, same
	}
	same++
	if k.exact != 0 && k.n0+k.n1 < exactBits {
		k.exact = k.exact<<1 | bit
	} else {
		k.exact = 0
		// What contradicts the bit counts less and less: it is older.
		if other > 2 {
			other = min(2+(other-1)/3, other-1)
		}
		lo := min(same, other)
		for lo >= len(mostOf) || max(same, other) > mostOf[lo] {
			if lo >= len(mostOf) {
				same, other = same-1, other-1
			} else if same > other {
				same--
			} else {
				other--
			}
			lo = min(same, other)
		}
	}
	if bit == 1 {
		return stateKey{n0: other, n1: same, last: 1, exact: k.exact}
	}
	return stateKey{n0: same, n1: other, exact: k.exact}
}

// priorCount is how many bits the prior of a state weighs as much as.
const priorCount = 20

func (k stateKey) prior() mix.Slot {
	// (n1 + a) / (n + 2a) with a = 0.25, the last bit counting half as much again.
	w0, w1 := 8*k.n0+1, 8*k.n1+1
	if k.n0+k.n1 > 0 {
		if k.last == 1 {
			w1 += 4
		} else {
			w0 += 4
		}
	}
	return mix.Slot(uint32(w1*(1<<22-1)/(w0+w1))<<10 | priorCount)
}

// stretch is mix.Stretch of the upper twelve bits of a slot.
var stretch = makeStretch()

func makeStretch() (t [4096]int16) {
	for i := range t {
		t[i] = int16(mix.Stretch(uint32(i<<4 + 8)))
	}
	return t
}
