package fleet

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// fill gives nodes the same records of n strangers.
func (f *flock) fill(n int) []stranger {
	f.t.Helper()
	strangers := make([]stranger, n)
	for i := range strangers {
		strangers[i] = newStranger(f.t)
		r, data := strangers[i].signed(f.t, 1, 1)
		for _, n := range f.nodes {
			if v, _ := n.fleet.config.Table.put(r, data, 0, r.Peer, false); v != kept {
				f.t.Fatalf("verdict %d", v)
			}
		}
	}
	return strangers
}

// meet runs one session between nodes 0 and 1 and returns the stream bytes of
// both directions, negotiation of the protocol included.
func (f *flock) meet() int64 {
	f.t.Helper()
	before := f.spent()
	if err := f.nodes[0].fleet.meet(f.t.Context(), f.nodes[1].host.ID()); err != nil {
		f.t.Fatal(err)
	}
	return f.spent() - before
}

// Equal peers are done in one round trip, with this many bytes, however many
// nodes they know.
func TestEqualPeers(t *testing.T) {
	for _, n := range []int{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlock(t, place{"a", WAN}, place{"b", WAN})
			f.fill(n)
			f.connect(0, 1)
			f.pass(time.Hour / 2)
			start := time.Now()
			spent := f.meet()
			t.Logf("%d rows: %d bytes", n+2, spent)
			const want = 129
			if spent != want {
				t.Errorf("%d rows: %d bytes, want exactly %d", n+2, spent, want)
			}
			if took := time.Since(start); took > 3*2*linkLatency {
				t.Errorf("took %s, want one round trip", took)
			}
		})
	}
}

// One change among a thousand rows costs the record and little more, whoever
// begins; so does one that the other side does not expect.
func TestOneAmongThousand(t *testing.T) {
	for _, test := range []struct {
		knows    int
		forgets  bool // what was agreed with the other side
		allowed  int64
		describe string
	}{
		{0, false, 500, "named by the beginner"},
		{1, false, 500, "named by the other"},
		{0, true, 1200, "found by ranges"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlock(t, place{"a", Satellite}, place{"b", Satellite})
			strangers := f.fill(1000)
			f.connect(0, 1)
			f.pass(time.Minute)
			table := f.nodes[test.knows].fleet.config.Table
			r, data := strangers[617].signed(t, 1, 2)
			table.put(r, data, 0, r.Peer, false)
			if test.forgets {
				for _, n := range f.nodes {
					for _, k := range n.fleet.contacts.peers {
						k.met = false
					}
				}
			}
			spent := f.meet()
			t.Logf("%s: %d bytes, of which the record %d", test.describe, spent, len(data))
			if spent > test.allowed {
				t.Errorf("%s: %d bytes, want at most %d", test.describe, spent, test.allowed)
			}
			other := f.nodes[1-test.knows].fleet.config.Table
			if row := other.get(keyOf(r.Peer)); row == nil || row.sequence != 2 {
				t.Errorf("%s: the change did not arrive", test.describe)
			}
		})
	}
}

// A node that has just come learns of a thousand others in one session inside
// of a site, and in portions over a dear link.
func TestNewcomerLearnsAll(t *testing.T) {
	for _, test := range []struct {
		link  Link
		after time.Duration
		some  int // rows that it has at least after a minute
	}{{LAN, 5 * time.Second, 1002}, {WAN, time.Minute, 1002}, {Narrow, 2 * time.Hour, 100}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlock(t, place{"a", test.link}, place{"b", test.link})
			for range 1000 {
				r, data := newStranger(t).signed(t, 1, 1)
				f.nodes[0].fleet.config.Table.put(r, data, 0, r.Peer, false)
			}
			f.connect(0, 1)
			before := f.spent()
			f.pass(min(test.after, time.Minute))
			if n := len(f.nodes[1].fleet.config.Table.Rows()); n < test.some {
				t.Errorf("%s: %d rows after a minute, want %d", test.link, n, test.some)
			}
			f.pass(test.after)
			if n := len(f.nodes[1].fleet.config.Table.Rows()); n != 1002 {
				t.Errorf("%s: %d rows, want 1002", test.link, n)
			}
			t.Logf("%s: %d bytes a row", test.link, (f.spent()-before)/1000)
		})
	}
}

// A fleet in which nothing happens is silent, but for a sign of life each hour.
func TestSilence(t *testing.T) {
	if raced.Enabled {
		t.Skip("figures for bytes: a day of virtual time, too slow with the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", WAN}, place{"a", WAN}, place{"b", WAN})
		f.connect(0, 1)
		f.connect(1, 2)
		f.pass(10 * time.Minute)
		quiet := func(minutes int) (sessions, bytes int64) {
			sessions, bytes = f.sessions(), f.spent()
			for range minutes { // what the node would do: it repeats itself
				for _, n := range f.nodes {
					n.say("1", 0)
				}
				f.pass(time.Minute)
			}
			return f.sessions() - sessions, f.spent() - bytes
		}
		if sessions, bytes := quiet(45); sessions > 0 || bytes > 0 {
			t.Errorf("%d sessions and %d bytes in 45 quiet minutes", sessions, bytes)
		}
		sessions, bytes := quiet(24 * 60)
		each := bytes / int64(len(f.nodes)) / (24 * 60)
		t.Logf("a quiet day: %d sessions, %d bytes a node and minute", sessions, each)
		if sessions > 24*6 || each > 40 {
			t.Errorf("a quiet day: %d sessions, %d bytes a node and minute", sessions, each)
		}
	})
}

// In a site where all have contact with all, one change is told once to each,
// not by each to each.
func TestOneChangeInASite(t *testing.T) {
	const n = 12
	synctest.Test(t, func(t *testing.T) {
		places := make([]place, n)
		for i := range places {
			places[i] = place{"a", WAN}
		}
		f := newFlock(t, places...)
		for i := range n {
			for j := range i {
				f.connect(i, j)
			}
		}
		f.pass(10 * time.Minute)
		sessions := f.sessions()
		f.nodes[3].say("2", 0)
		f.pass(time.Second)
		for i := range n {
			f.wantTold(3, "2", i)
		}
		if got := f.sessions() - sessions; got != n-1 {
			t.Errorf("%d sessions for one change among %d members, want %d", got, n, n-1)
		}
	})
}

// What a full table costs in memory.
func BenchmarkTable(b *testing.B) {
	for _, n := range []int{100, MaxRows} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := testTable(b)
			for range n {
				r, data := unsigned(b, testRecord("a", "1", 0))
				table.put(r, data, 0, r.Peer, false)
			}
			b.ReportAllocs()
			for b.Loop() {
				table.mu.Lock()
				table.digest = nil
				table.mu.Unlock()
				_, _, _ = table.vector()
			}
		})
	}
}
