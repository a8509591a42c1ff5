package site

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A site of any size has as many gateways as were asked for, and all members of
// a smaller one.
func TestGateways(t *testing.T) {
	for _, test := range []struct{ members, want int }{{1, 1}, {2, 2}, {3, 2}, {50, 2}} {
		t.Run(fmt.Sprint(test.members), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCircle(t, test.members, true)
				if got := c.gateways(); len(got) != test.want {
					t.Errorf("%v are gateways, want %d", got, test.want)
				}
			})
		})
	}
}

// Gateways stay gateways, whoever else comes; when they go others take over at
// once.
func TestGatewaysStayAndAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 3, true)
		had := c.gateways()
		for range 10 {
			c.pass(2 * time.Second)
			c.add(true)
		}
		c.pass(time.Second)
		if got := c.gateways(); !slices.Equal(got, had) {
			t.Fatalf("%v are gateways, %v were", got, had)
		}
		for range 5 {
			dead := c.gateways()[0]
			left := c.gateways()[1]
			c.leave(dead)
			c.pass(100 * time.Millisecond)
			if got := c.gateways(); len(got) != 2 || !slices.Contains(got, left) || slices.Contains(got, dead) {
				t.Fatalf("%v are gateways after %d died and %d was left", got, dead, left)
			}
		}
	})
}

// Whoever has contact is preferred to whoever has none.
func TestContactMakesGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 6, false)
		had := c.gateways()
		if len(had) != 2 {
			t.Fatalf("%v try to get contact, want two", had)
		}
		lucky := slices.DeleteFunc(first(6), func(i int) bool { return slices.Contains(had, i) })[0]
		c.contact(lucky, true)
		c.pass(time.Second)
		got := c.gateways()
		if len(got) != 2 || !slices.Contains(got, lucky) {
			t.Errorf("%v are gateways, want two, %d one of them, which has contact", got, lucky)
		}
	})
}

// A site in the dark has more and more members try, and few again when one
// succeeds.
func TestDarkSiteTriesHarder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		c := newCircle(t, n, false)
		for want := 2; ; want *= 2 {
			if got := c.gateways(); len(got) != min(want, n) {
				t.Fatalf("%d members try, want %d", len(got), min(want, n))
			}
			if want >= n {
				break
			}
			c.pass(widening)
		}
		c.contact(7, true)
		c.pass(time.Second)
		if got := c.gateways(); len(got) != 2 || !slices.Contains(got, 7) {
			t.Errorf("%v are gateways, want two, 7 one of them", got)
		}
	})
}

// Gateways hear together of all publishers that anybody pins.
func TestGatewaysCoverPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 10, true)
		pin := func(text string) []byte { return []byte(text + "--------") }
		for i, s := range c.sites {
			pins := [][]byte{pin("all")}
			if i == 4 || i == 5 {
				pins = append(pins, pin("rare"))
			}
			s.Pins(pins)
		}
		c.pass(time.Second)
		covered := func(got []int) bool { return slices.Contains(got, 4) || slices.Contains(got, 5) }
		got := c.gateways()
		if len(got) > 3 || !covered(got) {
			t.Fatalf("%v are gateways, want 2 or 3, 4 or 5 one of them", got)
		}
		c.leave(got[slices.IndexFunc(got, func(i int) bool { return i == 4 || i == 5 })])
		c.pass(time.Second)
		if got := c.gateways(); len(got) > 3 || !covered(got) {
			t.Errorf("%v are gateways, want 2 or 3, 4 or 5 one of them", got)
		}
	})
}

// More pins than can be told of make one more gateway, not one of everybody.
func TestManyPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 10, true)
		var pins [][]byte
		for i := range MaxPins + 10 {
			pins = append(pins, fmt.Appendf(nil, "%8d and more", i))
		}
		for _, s := range c.sites[3:] {
			s.Pins(pins)
		}
		c.pass(time.Second)
		if got := c.gateways(); len(got) < 1 || len(got) > 3 {
			t.Errorf("%v are gateways, want at most 3", got)
		}
	})
}

// Members of which no gateway wants the release get contact themselves, one of
// them, and keep it; not if the release comes from within.
func TestNeedMakesAGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 6, false)
		gateways, others := c.connectGateways()
		c.pass(time.Second)
		fed := c.join(releaseB, little, others...)
		for n := range 20 {
			for _, e := range fed.errands {
				e.Came(0, little-uint64(n))
			}
			c.pass(time.Second)
		}
		if got := c.gateways(); !slices.Equal(got, gateways) {
			t.Fatalf("%v are gateways, want %v: the release comes from within", got, gateways)
		}
		for _, e := range fed.errands {
			e.Leave()
		}
		p := c.join(releaseA, little, others...)
		c.pass(needAfter + time.Second)
		more := slices.DeleteFunc(c.gateways(), func(i int) bool { return slices.Contains(gateways, i) })
		if len(more) != 1 {
			t.Fatalf("%v are gateways, want %v and one more", c.gateways(), gateways)
		}
		c.contact(more[0], true)
		p.fetch(5*time.Minute, more...)
		if p.bytes[more[0]] < 1000*100 {
			t.Errorf("%d bytes came", p.bytes[more[0]])
		}
		if got := c.gateways(); !slices.Contains(got, more[0]) || len(got) > 3 {
			t.Errorf("%v are gateways, %d still fetches", got, more[0])
		}
		for _, e := range p.errands {
			e.Leave()
		}
		c.pass(time.Second)
		if got := c.gateways(); len(got) != 2 {
			t.Errorf("%v are gateways in the end, want two", got)
		}
	})
}

// A gateway that needs are met without is none any more; a member that hangs
// does not keep the others from getting contact.
func TestNeedPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 6, false)
		_, others := c.connectGateways()
		c.join(releaseA, little, others...)
		c.pass(needAfter / 2)
		rank := slices.SortedFunc(slices.Values(others), func(a, b int) int {
			e, f := c.sites[a].errands[releaseA], c.sites[b].errands[releaseA]
			return before(contender{stint: &e.own, id: c.sites[a].self}, contender{stint: &f.own, id: c.sites[b].self})
		})
		c.mute[rank[0]] = true
		c.pass(needAfter + testLease)
		if got := c.gateways(); !slices.Contains(got, rank[1]) {
			t.Errorf("%v are gateways, want %d too, since %d hangs", got, rank[1], rank[0])
		}
	})
}

// Now and then everybody looks outside for itself.
func TestVisits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircle(t, 4, true)
		gateways := c.gateways()
		i := slices.IndexFunc(first(4), func(i int) bool { return !slices.Contains(gateways, i) })
		_, changed := c.sites[i].Gateway()
		visit := c.sites[i].visit
		if left := time.Until(visit); left < visitEvery-time.Minute || left > visitEvery*3/2 {
			t.Fatalf("visits in %s", left)
		}
		time.Sleep(time.Until(visit))
		c.pass(100 * time.Millisecond)
		select {
		case <-changed:
		default:
			t.Error("nobody was told that it is time")
		}
		if is, _ := c.sites[i].Gateway(); !is {
			t.Error("does not look outside")
		}
		c.pass(visitTime)
		if is, _ := c.sites[i].Gateway(); is {
			t.Error("stays outside")
		}
		if left := time.Until(c.sites[i].visit); left < visitEvery-time.Minute {
			t.Errorf("visits again in %s", left)
		}
	})
}
