package gossip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

func peerID(i int) peer.ID { return peer.ID(fmt.Sprintf("peer-%d", i)) }

// drawVectors makes two vectors that differ here and there. Fingerprints share
// prefixes, as they would if somebody worked for it.
func drawVectors(t *rapid.T) (a, b vector) {
	n := rapid.IntRange(0, 400).Draw(t, "publishers")
	crowded := rapid.Bool().Draw(t, "crowded")
	for i := range n {
		fp := trust.SumFingerprint(binary.BigEndian.AppendUint32(nil, uint32(i)))
		if crowded {
			copy(fp[:3], []byte{1, 2, 3})
		}
		have := trust.Have{Root: 1, Timestamp: int64(rapid.IntRange(0, 3).Draw(t, "version"))}
		ours := newStanding(fp, have, []byte("timestamp"))
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			a = append(a, ours)
		case 1:
			b = append(b, ours)
		case 2:
			have.Timestamp++
			a, b = append(a, ours), append(b, newStanding(fp, have, []byte("newer")))
		case 3:
			a, b = append(a, ours), append(b, newStanding(fp, have, []byte("contradiction")))
		default:
			a, b = append(a, ours), append(b, ours)
		}
	}
	order := func(x, y standing) int { return bytes.Compare(x.publisher[:], y.publisher[:]) }
	slices.SortFunc(a, order)
	slices.SortFunc(b, order)
	return a, b
}

// Two sessions that talk to each other find exactly the publishers that both
// pin and that differ, within few turns, whatever the vectors are.
func TestRangesFindDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawVectors(t)
		var want []trust.Fingerprint
		for _, ours := range a {
			if theirs, ok := b.find(ours.publisher); ok && theirs.leaf != ours.leaf {
				want = append(want, ours.publisher)
			}
		}
		salt := []byte("saltsalt")
		var got []trust.Fingerprint
		idle := &Gossip{learn: newLearner()}
		sides := [2]*session{
			{g: idle, vector: a, salt: salt, theirs: salt, compared: map[trust.Fingerprint]bool{}, shown: map[trust.Fingerprint]bool{}},
			{g: idle, vector: b, salt: salt, theirs: salt, compared: map[trust.Fingerprint]bool{}, shown: map[trust.Fingerprint]bool{}},
		}
		said := &turn{Sections: []section{b.section(nil, salt)}}
		for i := 0; len(said.Sections) > 0; i++ {
			if i > maxDepth {
				t.Fatal("no end")
			}
			out := new(outgoing)
			if err := sides[i%2].compare(said, out); err != nil {
				t.Fatal(err)
			}
			if _, err := manifest.Encode(&out.turn); err != nil {
				t.Fatal(err)
			}
			said = &out.turn
		}
		for _, s := range sides {
			got = append(got, s.wishes...)
			for _, o := range s.offers {
				got = append(got, o.Publisher)
			}
		}
		slices.SortFunc(got, func(x, y trust.Fingerprint) int { return bytes.Compare(x[:], y[:]) })
		if !slices.Equal(got, want) {
			t.Fatalf("found %d differences, there are %d", len(got), len(want))
		}
	})
}

// The digest of a vector depends on everything in it and on nothing else.
func TestDigest(t *testing.T) {
	fp := trust.SumFingerprint([]byte("root"))
	base := vector{newStanding(fp, trust.Have{Root: 1, Timestamp: 2, Snapshot: 3, Targets: 4}, []byte("head"))}
	if again := (vector{newStanding(fp, base[0].have, []byte("head"))}); !bytes.Equal(base.digest(), again.digest()) {
		t.Error("equal vectors have different digests")
	}
	for i, other := range []vector{
		nil,
		{newStanding(trust.Fingerprint{}, base[0].have, []byte("head"))},
		{newStanding(fp, trust.Have{Root: 2, Timestamp: 2, Snapshot: 3, Targets: 4}, []byte("head"))},
		{newStanding(fp, trust.Have{Root: 1, Timestamp: 3, Snapshot: 3, Targets: 4}, []byte("head"))},
		{newStanding(fp, trust.Have{Root: 1, Timestamp: 2, Snapshot: 4, Targets: 4}, []byte("head"))},
		{newStanding(fp, trust.Have{Root: 1, Timestamp: 2, Snapshot: 3, Targets: 5}, []byte("head"))},
		{newStanding(fp, base[0].have, []byte("tail"))},
		{base[0], base[0]},
	} {
		if bytes.Equal(base.digest(), other.digest()) {
			t.Errorf("vector %d has the digest of another one", i)
		}
	}
	if bytes.Equal(base.part([]byte("saltsalt")), base.part([]byte("pepperpe"))) {
		t.Error("the salt changes nothing")
	}
}

func TestNewer(t *testing.T) {
	have := func(v ...int64) trust.Have {
		return trust.Have{Root: v[0], Timestamp: v[1], Snapshot: v[2], Targets: v[3]}
	}
	for _, test := range []struct {
		a, b trust.Have
		want bool
	}{
		{have(1, 1, 1, 1), have(1, 1, 1, 1), false},
		{have(1, 2, 1, 1), have(1, 1, 1, 1), true},
		{have(1, 1, 1, 1), have(1, 2, 1, 1), false},
		{have(2, 1, 1, 1), have(1, 9, 9, 1), true}, // a new root may start again
		{have(1, 9, 9, 1), have(2, 1, 1, 1), false},
		{have(1, 1, 1, 2), have(1, 1, 1, 1), true},
	} {
		if got := newer(test.a, test.b); got != test.want {
			t.Errorf("newer(%v, %v) = %t", test.a, test.b, got)
		}
	}
}

func BenchmarkVector(b *testing.B) {
	state := stateOf(authors(1000)...)
	for b.Loop() {
		takeVector(state).digest()
	}
}
