package text_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/text"
	"pgregory.net/rapid"
)

// Any runs with any hints against any old file come back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		old := rapid.SliceOfN(rapid.ByteRange(0, 5), 0, 2000).Draw(rt, "old")
		var runs []run
		for range rapid.IntRange(0, 4).Draw(rt, "runs") {
			b := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(rt, "fresh")
			if len(old) > 0 {
				from := rapid.IntRange(0, len(old)-1).Draw(rt, "from")
				b = append(b, old[from:rapid.IntRange(from, len(old)).Draw(rt, "to")]...)
			}
			runs = append(runs, run{b, rapid.Int64Range(-2, 3000).Draw(rt, "hint")})
		}
		roundTrip(t, old, runs)
		roundTrip(t, nil, runs)
	})
}

// Bytes that cannot be foretold hardly grow.
func TestRandom(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	old := make([]byte, 100_000)
	_, _ = random.Read(old)
	for _, n := range []int{0, 1, 100, 10_000, 300_000} {
		b := make([]byte, n)
		_, _ = random.Read(b)
		got := len(roundTrip(t, old, []run{{b, 0}}))
		t.Logf("%d random bytes: %d", n, got)
		if most := n + n/2000 + 8; got > most {
			t.Errorf("%d random bytes take %d, want at most %d", n, got, most)
		}
	}
}

// An old file with a small change costs a few bytes, wherever the change is and
// whatever it does.
func TestSmallChange(t *testing.T) {
	var old []byte
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		old = append(old, byte('a'+random.IntN(26)))
	}
	changed := bytes.Clone(old)
	copy(changed[5000:], "REPLACED")
	changed = append(changed[:9000:9000], append([]byte("PUT IN"), changed[9000:]...)...)
	changed = append(changed[:15000:15000], changed[15020:]...)
	got := len(roundTrip(t, old, []run{{changed, 0}}))
	t.Logf("three changes in 20,000 bytes: %d", got)
	if got > 120 {
		t.Errorf("%d bytes, want at most 120", got)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// A decoder whose input ends early says so.
func TestEndsEarly(t *testing.T) {
	b := noise(1000)
	coded := encode(t, nil, []run{{b, -1}})
	err := text.NewModel(nil, 1000).Code(t.Context(), mix.NewDecoder(coded[:900]), -1, b)
	if !errors.Is(err, mix.ErrEnd) {
		t.Errorf("got %v", err)
	}
}
