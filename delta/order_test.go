package delta

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

func isDelta(err error) bool { return errors.Is(err, ErrDelta) }

// orderBytes codes an order, checks that it comes back, and returns its bytes.
func orderBytes(t interface{ Fatal(...any) }, order []uint32) int {
	c := mix.NewEncoder(nil)
	if err := codeOrder(c, order); err != nil {
		t.Fatal(err)
	}
	data := c.Finish()
	back := make([]uint32, len(order))
	if err := codeOrder(mix.NewDecoder(data), back); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back, order) {
		t.Fatal("another order came back")
	}
	return len(data)
}

func identity(n int) []uint32 {
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	return order
}

// Any permutation comes back.
func TestOrder(t *testing.T) {
	check(t, 200, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		orderBytes(t, rapid.Permutation(identity(n)).Draw(t, "order"))
	})
}

// A random order takes what information theory says, runs that moved next to
// nothing.
func TestOrderBytes(t *testing.T) {
	order := identity(1024)
	if n := orderBytes(t, order); n > 16 {
		t.Errorf("the identity takes %d bytes", n)
	}
	if n := orderBytes(t, slices.Concat(order[700:], order[:700])); n > 24 {
		t.Errorf("two runs take %d bytes", n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	const entropy = 1097 // log2(1024!) / 8
	if n := orderBytes(t, order); n > entropy+entropy/50 {
		t.Errorf("a random order takes %d bytes, its entropy is %d", n, entropy)
	}
}

// What is no permutation is not coded, and any bytes decode to one, or end.
func TestOrderRefuses(t *testing.T) {
	for _, order := range [][]uint32{{0, 0}, {1, 2}, {0, 1, 1 << 31}} {
		if err := codeOrder(mix.NewEncoder(nil), order); err == nil {
			t.Errorf("%v was coded", order)
		}
	}
	check(t, 200, func(t *rapid.T) {
		order := make([]uint32, rapid.IntRange(1, 100).Draw(t, "n"))
		err := codeOrder(mix.NewDecoder(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bytes")), order)
		if err != nil && !isDelta(err) {
			t.Fatal(err)
		}
		slices.Sort(order)
		if !slices.Equal(order, identity(len(order))) {
			t.Fatalf("no permutation: %v", order)
		}
	})
}
