package site

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// onLAN is a member by its label.
var onLAN = spot{label: labelled, latency: time.Millisecond / 2}

// TestAloneHasTheTurn: at once, and before anything runs.
func TestAloneHasTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, spot{})
		e := w.nodes[0].Join(releaseA)
		defer e.Leave()
		if turn, _ := e.Turn(); !turn.Outside || !turn.Isolated || len(turn.Sharers) != 1 || turn.Sharers[0] != w.nodes[0].host.ID() {
			t.Errorf("turn of a node alone: %+v", turn)
		}
		if is, _ := w.nodes[0].Gateway(); !is {
			t.Error("a node alone is no gateway")
		}
		if got := w.nodes[0].Members(); len(got) != 1 || got[0].ID != w.nodes[0].host.ID() || !got[0].Gateway || len(got[0].Errands) != 1 {
			t.Errorf("members of a site of one: %+v", got)
		}
	})
}

// Members find each other, all of them, and share the work: the whole way over
// libp2p, for a small site and for a large one.
func TestSite(t *testing.T) {
	for _, n := range []int{3, 50} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if n > 10 && (testing.Short() || raced.Enabled) {
				t.Skip("SKIP: 1,275 connections take a while")
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, append(many(n, onLAN), spot{outside: true})...)
				w.meet(first(n)...)
				for i := range n {
					w.connect(i, n)
				}
				pass(3 * time.Second)
				gateways := 0
				for i, m := range w.nodes[:n] {
					members := m.Members()
					if len(members) != n || members[0].ID != m.host.ID() {
						t.Fatalf("node %d has %d members, want %d", i, len(members), n)
					}
					for _, other := range members {
						if other.Label != labelled || !other.Outside {
							t.Errorf("node %d hears of %+v", i, other)
						}
					}
					if is, _ := m.Gateway(); is {
						gateways++
					}
				}
				if gateways != DefaultGateways {
					t.Errorf("%d gateways, want %d", gateways, DefaultGateways)
				}

				before, idle := w.writes(n), time.Hour/time.Duration(n)
				pass(idle)
				if after := w.writes(n); after != before {
					t.Errorf("%d messages in %s without work, want none", after-before, idle)
				}

				errands := w.join(releaseA, first(n)...)
				for _, e := range errands {
					e.Came(0, little)
				}
				pass(time.Second)
				if got := turns(errands); len(got) != 1 {
					t.Errorf("%v have the turn, want one", got)
				}
				// One message of each to each for the errand, one of who takes the
				// turn, and there is room for one of each that was early.
				if got, most := w.writes(n)-before, int64(2*n*(n-1)+n); got > most {
					t.Errorf("%d messages for one errand of %d members, want at most %d", got, n, most)
				}
				for _, e := range errands {
					e.Came(0, much)
				}
				pass(time.Second)
				if got := turns(errands); len(got) != DefaultGateways {
					t.Errorf("%v have the turn, want %d", got, DefaultGateways)
				}
			})
		})
	}
}

// writes sums up the messages that the first n nodes have sent.
func (w *world) writes(n int) (sum int64) {
	for _, m := range w.nodes[:n] {
		sum += m.written.Load()
	}
	return sum
}

// A member whose link to the outside is closed, by schedule or budget, hands its
// turn on at once, not after a lease.
func TestClosedLinkHandsTurnOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make([]atomic.Bool, 3)
		var spots []spot
		for i := range closed {
			at := onLAN
			at.config = func(c *Config) {
				c.Lease = time.Hour
				c.Closed = func(network.Conn) bool { return closed[i].Load() }
			}
			spots = append(spots, at)
		}
		w := newWorld(t, append(spots, spot{outside: true})...)
		w.meet(first(4)...)
		pass(2 * time.Second)
		errands := w.join(releaseA, first(3)...)
		for _, e := range errands {
			e.Came(0, little)
		}
		pass(time.Second)
		for range closed {
			had := turns(errands)
			if len(had) != 1 {
				t.Fatalf("%v have the turn", had)
			}
			errands[had[0]].Came(1000, little-1000) // it is in the middle of it
			closed[had[0]].Store(true)
			w.nodes[had[0]].Rescan()
			pass(500 * time.Millisecond)
			open := slices.ContainsFunc(first(3), func(i int) bool { return !closed[i].Load() })
			if got := turns(errands); open && (len(got) != 1 || closed[got[0]].Load()) {
				t.Errorf("%v have the turn after the link of %d was closed", got, had[0])
			}
			for _, m := range w.nodes[0].Members() {
				if m.ID == w.nodes[had[0]].host.ID() && m.Outside {
					t.Errorf("%d still claims contact with the outside", had[0])
				}
			}
		}
		closed[1].Store(false)
		w.nodes[1].Rescan()
		pass(time.Second)
		if got := turns(errands); !slices.Equal(got, []int{1}) {
			t.Errorf("%v have the turn, only the link of 1 is open again", got)
		}
	})
}

// A member that dies is replaced as a gateway and in its turn, and is back when
// it is.
func TestMemberDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, append(many(4, onLAN), spot{outside: true})...)
		w.meet(first(5)...)
		pass(2 * time.Second)
		gateways := func() (are []int) {
			for i, n := range w.nodes[:4] {
				if is, _ := n.Gateway(); is && len(n.Members()) > 1 {
					are = append(are, i)
				}
			}
			return are
		}
		if got := gateways(); len(got) != DefaultGateways {
			t.Fatalf("%v are gateways", got)
		}
		errands := w.join(releaseA, first(4)...)
		pass(time.Second)
		had := turns(errands)
		if len(had) != 1 {
			t.Fatalf("%v have the turn", had)
		}
		for i := range 5 {
			if i != had[0] {
				w.disconnect(had[0], i)
			}
		}
		dead := had[0]
		errands[dead].Leave()
		delete(errands, dead)
		pass(time.Second)
		if got := turns(errands); len(got) != 1 {
			t.Errorf("%v have the turn after %d died", got, dead)
		}
		if got := gateways(); len(got) != DefaultGateways || slices.Contains(got, dead) {
			t.Errorf("%v are gateways after %d died", got, dead)
		}
		for i := range 5 {
			if i != dead {
				w.connect(dead, i)
			}
		}
		pass(2 * time.Second)
		for i, n := range w.nodes[:4] {
			if got := len(n.Members()); got != 4 {
				t.Errorf("node %d has %d members, want 4 again", i, got)
			}
		}
	})
}

// Labels decide, then subnets.
func TestWhoIsLocal(t *testing.T) {
	const a, b = "a", "b"
	for name, test := range map[string]struct {
		one, other spot
		want       bool
	}{
		"one label across subnets":          {spot{label: a, subnet: 1}, spot{label: a, subnet: 2}, true},
		"one label over a satellite":        {spot{label: a, latency: 300 * time.Millisecond}, spot{label: a, subnet: 2}, true},
		"two labels on one subnet":          {spot{label: a, subnet: 1}, spot{label: b, subnet: 1}, false},
		"one subnet":                        {spot{subnet: 1}, spot{subnet: 1}, true},
		"a label on the subnet of no one":   {spot{label: a, subnet: 1}, spot{subnet: 1}, true},
		"two subnets":                       {spot{subnet: 1}, spot{subnet: 2}, false},
		"a label and no label, 2 subnets":   {spot{label: a, subnet: 1}, spot{subnet: 2}, false},
		"bridge over a satellite":           {spot{subnet: 1, latency: 300 * time.Millisecond}, spot{subnet: 1}, false},
		"slow wireless":                     {spot{subnet: 1, latency: 10 * time.Millisecond}, spot{subnet: 1}, true},
		"short way, and on no one's subnet": {spot{latency: time.Microsecond}, spot{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, test.one, test.other)
				w.meet(0, 1)
				pass(5 * time.Second)
				want := 1
				if test.want {
					want = 2
				}
				for i, n := range w.nodes {
					if got := len(n.Members()); got != want {
						t.Errorf("node %d has %d members, want %d", i, got, want)
					}
					c := n.host.Network().Conns()[0]
					if got := n.Local(c); got != test.want {
						t.Errorf("node %d: local is %t, want %t", i, got, test.want)
					}
					if got := n.Members()[0].Outside; got == test.want {
						t.Errorf("node %d: in contact with the outside is %t", i, got)
					}
				}
			})
		})
	}
}

// A peer found to be far is measured again, more and more seldom, and is a member
// once it is near.
func TestFarPeerIsMeasuredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, spot{subnet: 1, latency: 100 * time.Millisecond}, spot{subnet: 1})
		w.meet(0, 1)
		pass(5 * time.Second)
		before := w.writes(2)
		pass(2 * time.Hour)
		if n := w.writes(2) - before; n == 0 || n > 100 {
			t.Errorf("%d messages in two hours of measuring again", n)
		}
		w.latency(0, time.Millisecond)
		pass(lastVeto + time.Minute)
		for i, n := range w.nodes {
			if got := len(n.Members()); got != 2 {
				t.Errorf("node %d has %d members, want 2", i, got)
			}
			if !n.Local(n.host.Network().Conns()[0]) {
				t.Errorf("node %d: not local", i)
			}
		}
	})
}

// Members come and go, and at every moment of rest all agree.
func TestComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 8
		w := newWorld(t, append(many(n, onLAN), spot{outside: true})...)
		for i := range n {
			w.connect(i, n)
		}
		errands := w.join(releaseA, first(n)...)
		there := []int{}
		for round := range 24 {
			i := (round * 5) % n
			if at := slices.Index(there, i); at >= 0 {
				there = slices.Delete(there, at, at+1)
				for _, j := range there {
					w.disconnect(i, j)
				}
			} else {
				for _, j := range there {
					w.connect(i, j)
				}
				there = append(there, i)
			}
			pass(2 * time.Second)
			with := map[int]*Errand{}
			for _, j := range there {
				with[j] = errands[j]
				errands[j].Came(uint64(round+1), little)
				if got := len(w.nodes[j].Members()); got != len(there) {
					t.Fatalf("round %d: node %d has %d members, want %d", round, j, got, len(there))
				}
			}
			if got := turns(with); len(there) > 0 && len(got) != 1 {
				t.Fatalf("round %d: of %v %v have the turn", round, there, got)
			}
		}
	})
}

// A second connection with a member changes nothing, and the end of the first
// one makes it no stranger.
func TestTwoConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, onLAN, onLAN)
		w.meet(0, 1)
		a, b := w.nodes[0], w.nodes[1]
		old := a.host.Network().Conns()
		ctx := network.WithForceDirectDial(t.Context(), "test")
		if _, err := b.host.Network().DialPeer(ctx, a.host.ID()); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		for _, c := range old {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		pass(2 * time.Second)
		w.connect(0, 1)
		pass(3 * time.Second)
		for i, n := range w.nodes {
			if got := len(n.Members()); got != 2 {
				t.Errorf("node %d has %d members", i, got)
			}
		}
	})
}
