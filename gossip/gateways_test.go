package gossip

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/trust"
)

// Two gateways of a site that are told the same at the same moment by whoever
// publishes: one of them learns it outside, the other one from the first, and
// so do the other members. Afterwards nobody asks anybody whether it has
// arrived, for everybody has shown that it has.
func TestUpdateEntersSiteOnce(t *testing.T) {
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		t.Run(string(preset), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				acme := newAuthor("acme")
				acme.release("vad", 900)
				states := make([]State, 5) // outside, two gateways, two members
				for i := range states {
					states[i] = stateOf(acme)
				}
				f := newFlock(t, preset, states...)
				f.neighbours(1, 2, 3, 4)
				for i := range f.nodes {
					for j := max(i+1, 1); j < len(f.nodes) && (i > 0 || j < 3); j++ {
						f.connect(i, j)
					}
				}
				f.settle()
				time.Sleep(time.Minute)
				outside := f.nodes[0].host
				update, _, _ := acme.update(trust.Have{})
				for i := range 5 {
					acme.release("vad", 900)
					sync, topic, streams := outside.of(SyncProtocol).both(), outside.of(meshProtocol).both(), outside.of(SyncProtocol).streams.Load()
					total := f.nodes[0].total.both()
					f.publish(0, acme)
					time.Sleep(20 * time.Second)
					f.wantVersion(acme, int64(i+2), 1, 2, 3, 4)
					sync, topic = outside.of(SyncProtocol).both()-sync, outside.of(meshProtocol).both()-topic
					t.Logf("topic %d, sync %d, with negotiation %d bytes, update %d", topic, sync, f.nodes[0].total.both()-total, update.Bytes())
					if got := outside.of(SyncProtocol).streams.Load() - streams; got != 1 {
						t.Errorf("%d sessions with the outside, want 1", got)
					}
					if sync > int64(update.Bytes()) {
						t.Errorf("%d bytes of sync for an update of %d", sync, update.Bytes())
					}
				}
			})
		})
	}
}

// A member of the site that was asked first and cannot give the update does not
// keep it from coming from outside.
func TestNeighbourThatDoesNotGive(t *testing.T) {
	l := newLearner()
	acme := newAuthor("acme")
	acme.release("vad", 900)
	head := acme.head()
	id, err := idOf(head)
	if err != nil {
		t.Fatal(err)
	}
	l.add(head, id, "outside", false, time.Hour)
	if publisher, _, ok := l.whose(id[:]); !ok || publisher != acme.fingerprint() {
		t.Fatal("not the newest head")
	}
	l.again(acme.fingerprint(), id, "self", "tall neighbour", true)
	from, hurry, publishers, _ := l.next(time.Now())
	if from != "tall neighbour" || !hurry || len(publishers) != 1 {
		t.Fatalf("asks %q (hurry %t) for %d publishers", from, hurry, len(publishers))
	}
	l.finish(acme.fingerprint(), func(trust.Head) bool { return false }, nobody)
	from, hurry, publishers, _ = l.next(time.Now())
	if from != "outside" || hurry || len(publishers) != 1 {
		t.Fatalf("then asks %q (hurry %t) for %d publishers", from, hurry, len(publishers))
	}
}

func nobody() (p peer.ID, local bool) { return "", false }

// Who of two members asks outside does not depend on who hears first, and an
// ask in a hurry does not wait for what comes from the site.
func TestSettling(t *testing.T) {
	acme := newAuthor("acme")
	acme.release("vad", 900)
	head := acme.head()
	id, _ := idOf(head)
	for _, tt := range []struct {
		name        string
		self, other peer.ID
		local       bool // the one that tells again
		want        peer.ID
		at          time.Duration
	}{
		{"the lower asks the higher", "a", "b", true, "b", 0},
		{"the higher asks outside", "b", "a", true, "outside", 0},
		{"another outside peer changes nothing", "a", "b", false, "outside", time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLearner()
			begun := time.Now()
			l.add(head, id, "outside", false, time.Second)
			l.again(acme.fingerprint(), id, tt.self, tt.other, tt.local)
			var from peer.ID
			for from == "" {
				var again time.Time
				from, _, _, again = l.next(time.Now())
				time.Sleep(time.Until(again))
			}
			if took := time.Since(begun); from != tt.want || took != tt.at {
				t.Errorf("%s: asks %q after %s, want %q after %s", tt.name, from, took, tt.want, tt.at)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLearner()
		l.add(head, id, "neighbour", true, 0)
		begun := time.Now()
		l.wait(t.Context(), acme.fingerprint(), begun.Add(time.Minute), true)
		if took := time.Since(begun); took != 0 {
			t.Errorf("an ask in a hurry waited %s", took)
		}
		l.wait(t.Context(), acme.fingerprint(), begun.Add(time.Minute), false)
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("another ask waited %s", took)
		}
	})
}

// What a peer has told, or has taken in a session of its own, it is not asked
// about; what it may have missed, it is.
func TestChecksOnlyWhereNeeded(t *testing.T) {
	m := newMeetings(params{heartbeat: time.Second, syncInterval: time.Hour, syncFallback: time.Minute})
	acme := newAuthor("acme")
	acme.release("vad", 700)
	id, _ := idOf(acme.head())
	for i := range 3 {
		p := peer.ID(fmt.Sprint("p", i))
		m.arrived("a", p)
		m.met(p, m.seen(), true)
	}
	m.told("p0", acme.fingerprint(), id)
	m.changed("", acme.head())
	due := func(p peer.ID) bool { return time.Until(m.peers[p].due) < time.Minute }
	if due("p0") || !due("p1") || !due("p2") {
		t.Errorf("checks planned: %t %t %t, want the two that have not told", due("p0"), due("p1"), due("p2"))
	}
	seen := m.seen()
	m.took("p1", acme.fingerprint(), seen)
	m.told("p2", acme.fingerprint(), id)
	if due("p1") || due("p2") {
		t.Error("a check is planned with a peer that has the update")
	}
	acme.release("vad", 700)
	m.changed("", acme.head())
	m.took("p1", acme.fingerprint(), seen) // of what was before the change
	if !due("p0") || !due("p1") || !due("p2") {
		t.Error("no check is planned after another change")
	}
}
