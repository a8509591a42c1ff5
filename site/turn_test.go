package site

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const little, much = 1 << 20, 8 << 20

// Exactly as many members have the turn as there are places, whoever they are,
// and all agree on them.
func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		members int
		missing uint64
		want    int
	}{
		{1, little, 1},
		{1, much, 1},
		{2, little, 1},
		{2, much, 2},
		{3, little, 1},
		{3, much, 2},
		{50, little, 1},
		{50, much, 2},
	} {
		t.Run(fmt.Sprintf("%d members, %d bytes", test.members, test.missing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCircle(t, test.members, true)
				p := c.join(releaseA, test.missing, first(test.members)...)
				c.pass(settle + 100*time.Millisecond)
				got := p.holders()
				if len(got) != test.want {
					t.Fatalf("%v have the turn, want %d", got, test.want)
				}
				var want []string
				for _, i := range got {
					want = append(want, string(c.sites[i].self))
				}
				slices.Sort(want)
				for i, e := range p.errands {
					turn, _ := e.Turn()
					var sharers []string
					for _, id := range turn.Sharers {
						sharers = append(sharers, string(id))
					}
					if !slices.Equal(sharers, want) {
						t.Errorf("member %d believes that %v fetch, want %v", i, sharers, want)
					}
				}
			})
		})
	}
}

// Work is spread: of many releases each member fetches some.
func TestTurnsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 4, true)
		count := map[int]int{}
		for i := range 40 {
			p := c.join(manifest.SumCID(manifest.DagCBOR, []byte{byte(i)}), little, first(4)...)
			c.pass(settle + 100*time.Millisecond)
			for _, h := range p.holders() {
				count[h]++
			}
			for _, e := range p.errands {
				e.Leave()
			}
		}
		for i := range 4 {
			if count[i] < 3 || count[i] > 20 {
				t.Errorf("member %d had %d of 40 turns", i, count[i])
			}
		}
	})
}

// Who fetches goes on, whoever else comes.
func TestIncumbentKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 3, true)
		p := c.join(releaseA, little, first(3)...)
		c.pass(time.Second)
		had := p.holders()
		for range 20 {
			i := c.add(true)
			p.fetch(testLease/4, had...)
			p.join(releaseA, i)
			p.fetch(testLease/4, had...)
			if got := p.holders(); !slices.Equal(got, had) {
				t.Fatalf("%v have the turn after %v had it and went on", got, had)
			}
		}
	})
}

// When nothing comes for the first part of a lease the turn passes on, to everybody in the end;
// nobody stays without because those before it stall.
func TestTurnPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5
		c := newCircle(t, n, true)
		p := c.join(releaseA, little, first(n)...)
		c.pass(time.Second)
		seen := map[int]bool{}
		for range n {
			got := p.holders()
			if len(got) != 1 || seen[got[0]] {
				t.Fatalf("%v have the turn after %v", got, seen)
			}
			seen[got[0]] = true
			c.pass(testLease / firstPart)
		}
		if got := p.holders(); len(got) != 1 {
			t.Errorf("%v have the turn in the second round", got)
		}
	})
}

// A member to which bytes come after all keeps its turn, though others stalled.
func TestTakenOverTurnIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 3, true)
		p := c.join(releaseA, little, first(3)...)
		c.pass(time.Second)
		stalled := p.holders()[0]
		able := slices.DeleteFunc(first(3), func(i int) bool { return i == stalled })
		p.fetch(testLease, able...)
		got := p.holders()
		if len(got) != 1 || got[0] == stalled {
			t.Fatalf("%v have the turn after %d stalled", got, stalled)
		}
		p.fetch(5*testLease, able...)
		if now := p.holders(); !slices.Equal(now, got) {
			t.Errorf("%v have the turn, %v had it and went on", now, got)
		}
	})
}

// Members that hang hold up the others one lease each.
func TestHangingMembersArePassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 6
		c := newCircle(t, n, true)
		p := c.join(releaseA, little, first(n)...)
		c.pass(30 * time.Millisecond) // they have told, and not settled
		order := slices.SortedFunc(slices.Values(first(n)), func(a, b int) int {
			return before(contender{stint: &p.errands[a].errand.own, id: c.sites[a].self}, contender{stint: &p.errands[b].errand.own, id: c.sites[b].self})
		})
		for _, i := range order[:3] {
			c.mute[i] = true
		}
		c.pass(time.Second)
		if got := p.holders(); len(got) != 0 {
			t.Fatalf("%v have the turn, want nobody: %d hangs", got, order[0])
		}
		c.pass(3*testLease - time.Second)
		if got := p.holders(); !slices.Equal(got, order[3:4]) {
			t.Errorf("%v have the turn after three leases, want %d", got, order[3])
		}
	})
}

// Of those that fetched alone and then meet, one goes on.
func TestSurplusGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 2, true)
		for i := range c.sites {
			c.leave(i)
		}
		p := c.join(releaseA, little, 0, 1)
		p.bytes[0] = 5000
		p.errands[0].Came(5000, little)
		for i := range c.sites {
			if turn, _ := p.errands[i].Turn(); !turn.Outside {
				t.Errorf("member %d, alone, has no turn", i)
			}
		}
		c.gone = map[int]bool{}
		c.pass(time.Second)
		if got := p.holders(); !slices.Equal(got, []int{0}) {
			t.Errorf("%v have the turn, want 0, to which something came", got)
		}
	})
}

// Who loses contact with the outside loses the turn, if somebody else has it.
func TestTurnFollowsContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 3, true)
		p := c.join(releaseA, little, first(3)...)
		c.pass(time.Second)
		for _, left := range []int{2, 1} {
			had := p.holders()
			c.contact(had[0], false)
			c.pass(100 * time.Millisecond)
			if got := p.holders(); len(got) != 1 || got[0] == had[0] {
				t.Fatalf("%v have the turn, %d lost contact and %d have it", got, had[0], left)
			}
		}
		had := p.holders()
		c.contact(had[0], false)
		p.fetch(testLease/2, had...)
		if got := p.holders(); !slices.Equal(got, had) {
			t.Errorf("%v have the turn, %d lost contact for a moment and nobody else has any", got, had[0])
		}
		c.pass(2 * testLease)
		if got := p.holders(); len(got) != 0 {
			t.Errorf("%v have the turn, nobody has contact", got)
		}
		c.contact(1, true)
		c.pass(settle + 100*time.Millisecond)
		if got := p.holders(); !slices.Equal(got, []int{1}) {
			t.Errorf("%v have the turn, want 1, which alone has contact", got)
		}
	})
}

// The only member with contact has the turn at once.
func TestNobodyElseCould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 3, false)
		c.contact(1, true)
		c.pass(time.Second)
		p := c.join(releaseA, little, first(3)...)
		if got := p.holders(); !slices.Equal(got, []int{1}) {
			t.Errorf("%v have the turn, want 1", got)
		}
	})
}

// A member that claims to fetch for ever, and passes nothing on, is overridden.
func TestLiarIsOverridden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 4, true)
		liar := c.add(true)
		p := c.join(releaseA, little, liar)
		c.pass(time.Second)
		claim := func(d time.Duration) {
			for range int(d / time.Second) {
				p.bytes[liar] += 100
				p.errands[liar].Came(p.bytes[liar], little)
				c.pass(time.Second)
			}
		}
		for i := range 4 {
			p.join(releaseA, i)
		}
		claim((patience - 1) * testLease)
		if got := p.holders(); !slices.Equal(got, []int{liar}) {
			t.Fatalf("%v have the turn, want %d alone for now", got, liar)
		}
		claim(7 * testLease)
		got := slices.DeleteFunc(p.holders(), func(i int) bool { return i == liar })
		if len(got) == 0 {
			t.Fatal("nobody fetches for itself")
		}
		// Those that it feeds wait on.
		honest := got[0]
		for n := range 100 {
			p.bytes[honest] += 100
			for i := range 4 {
				if i == honest {
					p.errands[i].Came(p.bytes[i], little-uint64(n))
				} else {
					p.errands[i].Came(0, little-uint64(n))
				}
			}
			claim(time.Second)
		}
		if now := slices.DeleteFunc(p.holders(), func(i int) bool { return i == liar }); !slices.Equal(now, []int{honest}) {
			t.Errorf("%v fetch, want %d alone", now, honest)
		}
	})
}

// A second place opens when much turns out to be missing, and goes to another
// member.
func TestSecondPlaceOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 5, true)
		p := c.join(releaseA, 0, first(5)...)
		c.pass(time.Second)
		had := p.holders()
		if len(had) != 1 {
			t.Fatalf("%v have the turn before anybody knows how much is missing", had)
		}
		for _, e := range p.errands {
			e.Came(1000, much)
		}
		c.pass(200 * time.Millisecond)
		got := p.holders()
		if len(got) != 2 || !slices.Contains(got, had[0]) {
			t.Errorf("%v have the turn, want two, %d one of them", got, had[0])
		}
		for _, e := range p.errands {
			e.Came(2000, little)
		}
		c.pass(time.Second)
		if now := p.holders(); !slices.Equal(now, got) {
			t.Errorf("%v have the turn near the end, %v had it", now, got)
		}
	})
}

// An errand joined twice is one; a count of bytes that begins anew is progress.
func TestJoinedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 2, true)
		c.contact(1, false)
		c.pass(time.Second)
		a, b := c.sites[0].Join(releaseA), c.sites[0].Join(releaseA)
		a.Came(700, much)
		b.Came(300, little)
		a.Came(100, 0) // the next part
		c.pass(2 * time.Second)
		want := []Work{{Release: releaseA, Outside: true, Bytes: 1100}}
		if got := c.works(1, 0); !slices.Equal(got, want) {
			t.Errorf("the other member hears %+v, want %+v", got, want)
		}
		a.Leave()
		a.Leave()
		a.Came(5000, 5)
		c.pass(2 * time.Second)
		if got := c.works(1, 0); !slices.Equal(got, want) {
			t.Errorf("after one of two has left: %+v", got)
		}
		b.Leave()
		c.pass(time.Second)
		if got := c.works(1, 0); len(got) != 0 {
			t.Errorf("the other member hears %+v after both have left", got)
		}
	})
}

// More errands than can be told of get their turns one after the other; what
// does not get on makes room.
func TestMoreErrandsThanCanBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 2, true)
		var parties []party
		for i := range MaxErrands + 10 {
			parties = append(parties, c.join(manifest.SumCID(manifest.DagCBOR, []byte{byte(i)}), little, 0, 1))
		}
		c.pass(time.Second)
		for i, p := range parties {
			if got, want := len(p.holders()), min(1, max(0, MaxErrands-i)); got != want {
				t.Fatalf("errand %d: %d have the turn, want %d", i, got, want)
			}
		}
		had := map[int]bool{}
		for range 10 * patience {
			c.pass(testLease)
			if got := len(c.gateways()); got != 2 {
				t.Fatalf("%d gateways, want 2: there is contact", got)
			}
			for i, p := range parties {
				if len(p.holders()) > 1 {
					c.pass(200 * time.Millisecond) // they hear of each other
				}
				switch n := len(p.holders()); {
				case n > 1:
					t.Fatalf("errand %d: %d have the turn", i, n)
				case n == 1:
					had[i] = true
				}
			}
		}
		if len(had) != len(parties) {
			t.Errorf("%d of %d errands had a turn", len(had), len(parties))
		}
	})
}

// The channel of a turn is closed when it changes, and only then.
func TestTurnTellsOfChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 1, true)
		e := c.sites[0].Join(releaseA)
		turn, changed := e.Turn()
		e.Came(1, much)
		c.pass(time.Minute)
		select {
		case <-changed:
			t.Fatalf("turn %+v changed and nothing happened", turn)
		default:
		}
		other := c.add(true)
		c.pass(time.Second)
		c.sites[other].Join(releaseA).Came(0, much)
		c.pass(time.Second)
		select {
		case <-changed:
		default:
			t.Error("a member that shares the work changed nothing")
		}
		if turn, _ := e.Turn(); len(turn.Sharers) != 2 {
			t.Errorf("%v share, want both", turn.Sharers)
		}
	})
}
