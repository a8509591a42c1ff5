package gossip

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/raced"

	"github.com/dunlin-mesh/dunlin/trust"
)

// exchanged runs f and returns the bytes of the sync protocol that crossed
// between nodes 0 and 1 meanwhile, both directions, and the same with all that
// libp2p adds on streams.
func (f *flock) exchanged(run func()) (stream, negotiated int64) {
	f.t.Helper()
	synctest.Wait()
	count, total := f.nodes[0].host.of(SyncProtocol), f.nodes[0].total
	stream, negotiated = count.both(), total.both()
	run()
	synctest.Wait()
	return count.both() - stream, total.both() - negotiated
}

// syncNow reconciles nodes 0 and 1 and fails the test if that fails.
func (f *flock) syncNow() {
	f.t.Helper()
	if err := f.nodes[0].gossip.Sync(f.t.Context(), f.nodes[1].host.ID()); err != nil {
		f.t.Fatal(err)
	}
}

// authors makes n publishers with one release each.
func authors(n int) []*author {
	all := make([]*author, n)
	for i := range all {
		all[i] = newAuthor(fmt.Sprintf("publisher-%d", i))
		all[i].release("model", 700)
	}
	return all
}

// Equal peers are done in one round trip and under 200 bytes, however much
// they hold.
func TestEqualPeers(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 2000} {
		synctest.Test(t, func(t *testing.T) {
			all := authors(n)
			f := newFlock(t, LAN, stateOf(all...), stateOf(all...))
			f.connect(0, 1)
			f.settle()
			start := time.Now()
			stream, negotiated := f.exchanged(f.syncNow)
			t.Logf("%d publishers: %d bytes, %d with the negotiation of the protocol", n, stream, negotiated)
			if stream != 42 || negotiated != 114 {
				t.Errorf("%d publishers: %d bytes, %d with negotiation, want 42 and 114", n, stream, negotiated)
			}
			if took := time.Since(start); took > 3*2*linkLatency {
				t.Errorf("took %s, want one round trip", took)
			}
		})
	}
}

// Nodes with different pins are never equal. They pay for that once, and then
// no more than equal ones until something changes.
func TestDifferentPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := authors(50)
		f := newFlock(t, LAN, stateOf(all[:30]...), stateOf(all[20:]...))
		f.connect(0, 1)
		f.settle()
		stream, _ := f.exchanged(f.syncNow)
		if stream > 60 {
			t.Errorf("%d bytes although nothing has changed", stream)
		}
		all[25].release("model", 700)
		f.nodes[1].state.(*memoryState).take(t, all[25])
		f.syncNow()
		f.wantVersion(all[25], 2, 0)
	})
}

// One new release among a thousand publishers costs what the release costs and
// the way to it, in whichever direction it goes and whoever begins.
func TestOneAmongThousand(t *testing.T) {
	for _, knows := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			all := authors(1000)
			f := newFlock(t, LAN, stateOf(all...), stateOf(all...))
			f.connect(0, 1)
			f.settle()
			state := f.nodes[knows].state.(*memoryState)
			all[617].release("model", 700)
			state.take(t, all[617])
			before := state.asked
			stream, _ := f.exchanged(f.syncNow)
			t.Logf("node %d knows: %d bytes", knows, stream)
			f.wantVersion(all[617], 2, 1-knows)
			if stream > 2000 {
				t.Errorf("node %d knows: %d bytes, want at most 2000", knows, stream)
			}
			if asked := state.asked - before; asked != 1 {
				t.Errorf("%d updates were made, want 1", asked)
			}
		})
	}
}

// Differences among 2,000 publishers are found at a price that follows the
// differences and hardly the publishers: twice as many of these add no round.
func TestDifferencesAmongThousands(t *testing.T) {
	if raced.Enabled {
		t.Skip("figures for bytes, of thousands of publishers: too slow with the race detector")
	}
	cost := func(publishers, differences int) (found int64) {
		synctest.Test(t, func(t *testing.T) {
			all := authors(publishers)
			f := newFlock(t, LAN, stateOf(all...), stateOf(all...))
			f.connect(0, 1)
			f.settle()
			for i := range differences { // on either side, spread over the vector
				a := all[i*publishers/differences]
				a.release("model", 700)
				f.nodes[i%2].state.(*memoryState).take(t, a)
			}
			found, _ = f.exchanged(f.syncNow)
			for i := range differences {
				f.wantVersion(all[i*publishers/differences], 2, 0, 1)
			}
		})
		return found
	}
	for _, d := range []struct {
		differences int
		most        int64 // bytes for each, of which the update is about 600
	}{{1, 1700}, {10, 1300}, {100, 1000}, {2000, 900}} {
		small, large := cost(1000, min(d.differences, 1000)), cost(2000, d.differences)
		t.Logf("%d differences: %d bytes among 1000 publishers, %d among 2000", d.differences, small, large)
		if large > d.most*int64(d.differences) {
			t.Errorf("%d differences among 2000 publishers cost %d bytes, want at most %d each", d.differences, large, d.most)
		}
	}
}

// Only the models that changed travel, of a publisher with many.
func TestOneModelAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		for i := range 100 {
			acme.release(fmt.Sprintf("model-%d", i), 2000)
		}
		f := newFlock(t, LAN, stateOf(acme), stateOf(acme))
		f.connect(0, 1)
		f.settle()
		acme.release("model-50", 2000)
		f.nodes[0].state.(*memoryState).take(t, acme)
		f.syncNow()
		f.wantVersion(acme, 101, 1)
		update, _, err := acme.update(trust.Have{Root: 1, Timestamp: 100, Snapshot: 100})
		if err != nil || len(update.Roles) != 1 {
			t.Errorf("update has %d roles (%v), want 1", len(update.Roles), err)
		}
	})
}

// A new node gets everything of everybody in one session, and what differs
// both ways goes both ways.
func TestEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := authors(500)
		left, right := pinsOf(all...), pinsOf(all...)
		for i, a := range all {
			[]*memoryState{left, right}[i%2].take(t, a)
		}
		f := newFlock(t, LAN, left, right)
		f.connect(0, 1)
		time.Sleep(10 * time.Second)
		for _, a := range all {
			f.wantVersion(a, 1, 0, 1)
		}
		if sessions := f.nodes[0].host.of(SyncProtocol).streams.Load(); sessions != 1 {
			t.Errorf("%d sessions, want 1", sessions)
		}
	})
}

// Announcing and updating one model over an established connection stays
// within the 3 kB of the 6 kB that an update may cost.
func TestUpdateBudget(t *testing.T) {
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		synctest.Test(t, func(t *testing.T) {
			acme := newAuthor("acme")
			acme.release("vad", 900)
			f := newFlock(t, preset, stateOf(acme), stateOf(acme))
			f.connect(0, 1)
			f.settle()
			acme.release("vad", 900)
			topic, sync := f.nodes[0].host.of(meshProtocol), f.nodes[0].host.of(SyncProtocol)
			topicBefore, syncBefore, totalBefore := topic.both(), sync.both(), f.nodes[0].total.both()
			f.publish(0, acme)
			time.Sleep(10 * time.Minute) // with the check whether it has arrived, and a session more on LAN
			f.wantVersion(acme, 2, 1)
			head, update := topic.both()-topicBefore, sync.both()-syncBefore
			t.Logf("%s: topic %d bytes, sync %d bytes, %d with negotiation", preset, head, update, f.nodes[0].total.both()-totalBefore)
			if head == 0 || head+update > 3000 {
				t.Errorf("%s: %d bytes of topic and %d of sync, want some and at most 3000 together", preset, head, update)
			}
		})
	}
}

// Two nodes that were told different things by one publisher find out when
// they meet: each is shown the other's head, keeps its own, and blames nobody.
func TestContradiction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme, twin := newAuthor("acme"), newAuthor("acme")
		acme.release("vad", 700)
		twin.release("asr", 700)
		left, right := &witness{memoryState: stateOf(acme)}, &witness{memoryState: stateOf(twin)}
		f := newFlock(t, LAN, left, right)
		f.connect(0, 1)
		time.Sleep(time.Second)
		if l, r := left.contradictions.Load(), right.contradictions.Load(); l != 1 || r != 1 {
			t.Errorf("the nodes saw the contradiction %d and %d times, want once each", l, r)
		}
		if stream, _ := f.exchanged(f.syncNow); stream > 60 {
			t.Errorf("meeting again cost %d bytes", stream)
		}
		for i, n := range f.nodes {
			if until := n.gossip.parole.until(f.nodes[1-i].host.ID()); !until.IsZero() {
				t.Errorf("node %d blames the other one", i)
			}
		}
	})
}

// witness counts the contradictions that a node is shown.
type witness struct {
	*memoryState
	contradictions atomic.Int64
}

func (w *witness) Apply(fp trust.Fingerprint, u trust.Update) (bool, error) {
	changed, err := w.memoryState.Apply(fp, u)
	if errors.Is(err, trust.ErrEquivocation) {
		w.contradictions.Add(1)
	}
	return changed, err
}

// Sessions recur, begun by one side only, and with long pauses on dear links.
func TestSessionsRecur(t *testing.T) {
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		synctest.Test(t, func(t *testing.T) {
			acme := newAuthor("acme")
			f := newFlock(t, preset, rootsOf(acme), rootsOf(acme))
			f.connect(0, 1)
			f.settle()
			const intervals = 5
			pause := f.nodes[0].gossip.params.syncInterval
			before := f.nodes[0].host.of(SyncProtocol).streams.Load()
			time.Sleep(intervals * pause)
			got := f.nodes[0].host.of(SyncProtocol).streams.Load() - before
			if got < intervals*3/4 || got > intervals*5/4+1 {
				t.Errorf("%s: %d sessions in %d intervals of %s", preset, got, intervals, pause)
			}
		})
	}
}

// What an idle topic costs: nothing but the first greeting. The doc comment of
// Preset has the figures.
func TestIdleCost(t *testing.T) {
	if raced.Enabled {
		t.Skip("figures for bytes: hours of virtual time, too slow with the race detector")
	}
	const nodes = 4
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		synctest.Test(t, func(t *testing.T) {
			acme := newAuthor("acme")
			acme.release("vad", 700)
			states := make([]State, nodes)
			for i := range states {
				states[i] = stateOf(acme)
			}
			f := newFlock(t, preset, states...)
			for i := range nodes {
				for j := range i {
					f.connect(j, i)
				}
			}
			f.settle()
			n := f.nodes[0]
			topic, sync, total := n.host.of(meshProtocol), n.host.of(SyncProtocol), n.total
			const peers, intervals = nodes - 1, 6
			greeting := topic.both() / peers
			interval := n.gossip.params.syncInterval
			time.Sleep(interval)
			topicBefore, syncBefore, totalBefore := topic.both(), sync.both(), total.both()
			time.Sleep(intervals * interval)
			perHour := func(now, before int64) float64 {
				return float64(now-before) / peers / (intervals * interval).Hours()
			}
			t.Logf("%s: greeting %d bytes a peer; per hour and peer: topic %.0f, sync %.0f, with negotiation %.0f bytes",
				preset, greeting, perHour(topic.both(), topicBefore), perHour(sync.both(), syncBefore), perHour(total.both(), totalBefore))
			if got := topic.both() - topicBefore; got > 0 {
				t.Errorf("%s: the idle topic cost %d bytes", preset, got)
			}
		})
	}
}
