package gossip

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"

	"github.com/dunlin-mesh/dunlin/trust"
)

// Twenty nodes in a line, and in a ring, learn a release that one of them
// announces, within seconds: each forwards the head at once and learns the
// update from whoever delivered it.
func TestHeadReachesEverybody(t *testing.T) {
	for _, shape := range []string{"line", "ring"} {
		t.Run(shape, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				acme := newAuthor("acme")
				states := make([]State, 20)
				for i := range states {
					states[i] = rootsOf(acme)
				}
				f := newFlock(t, LAN, states...)
				if shape == "ring" {
					f.connect(len(f.nodes)-1, 0)
				}
				f.line()
				acme.release("vad", 700)
				f.publish(0, acme)
				time.Sleep(5 * time.Second)
				for i, n := range f.nodes {
					f.wantVersion(acme, 1, i)
					if got := n.changes.Load(); i > 0 && got != 1 {
						t.Errorf("node %d: %d calls of OnChange, want 1", i, got)
					}
				}
			})
		})
	}
}

// A burst of releases costs no more than its newest needs, and all arrive.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		f := newFlock(t, LAN, rootsOf(acme), rootsOf(acme), rootsOf(acme))
		f.line()
		for range 20 {
			acme.release("vad", 700)
			f.publish(0, acme)
		}
		time.Sleep(5 * time.Second)
		f.wantVersion(acme, 20, 1, 2)
	})
}

// Law 2: a node that heard nothing catches up at its first contact with
// anybody who knows, here a node that learnt it itself.
func TestFirstContact(t *testing.T) {
	for _, begins := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			acme := newAuthor("acme")
			acme.release("vad", 700)
			f := newFlock(t, LAN, stateOf(acme), rootsOf(acme))
			f.connect(begins, 1-begins)
			time.Sleep(time.Second)
			f.wantVersion(acme, 1, 1)
		})
	}
}

// A publisher pinned by nothing but its fingerprint arrives with its root.
func TestPinnedByFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		f := newFlock(t, LAN, rootsOf(acme), rootsOf(acme), pinsOf(acme))
		f.line()
		acme.release("vad", 700)
		f.publish(0, acme)
		time.Sleep(5 * time.Second)
		f.wantVersion(acme, 1, 1, 2)
	})
}

// After a year without contact the first session brings everything, whether
// the publisher signed once or hundreds of times meanwhile.
func TestYearOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme, other := newAuthor("acme"), newAuthor("other")
		acme.release("vad", 700)
		other.release("asr", 700)
		away := stateOf(acme, other)
		for range 365 {
			time.Sleep(24 * time.Hour)
			acme.release("vad", 700)
			acme.release("kws", 700)
		}
		f := newFlock(t, Narrow, stateOf(acme, other), away)
		f.connect(0, 1)
		time.Sleep(time.Minute)
		f.wantVersion(acme, 731, 1)
		f.wantVersion(other, 1, 1)
	})
}

// Two halves of a mesh publish apart; one new link is enough for every node of
// both to have everything.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme, other := newAuthor("acme"), newAuthor("other")
		states := make([]State, 8)
		for i := range states {
			states[i] = rootsOf(acme, other)
		}
		f := newFlock(t, LAN, states...)
		f.line()
		f.disconnect(3, 4)
		f.settle()
		acme.release("vad", 700)
		f.publish(0, acme)
		other.release("asr", 700)
		f.publish(7, other)
		time.Sleep(10 * time.Second)
		f.wantVersion(acme, 1, 0, 1, 2, 3)
		f.wantVersion(acme, 0, 4, 5, 6, 7)
		f.wantVersion(other, 0, 0, 1, 2, 3)
		time.Sleep(time.Hour)
		f.connect(3, 4)
		time.Sleep(10 * time.Second)
		f.wantVersion(acme, 1, 4, 5, 6, 7)
		f.wantVersion(other, 1, 0, 1, 2, 3)
	})
}

// A node passes nothing on of publishers that it does not pin: it could not
// verify it.
func TestNoRelayOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme, other := newAuthor("acme"), newAuthor("other")
		f := newFlock(t, LAN, rootsOf(acme), rootsOf(other), rootsOf(acme))
		f.line()
		acme.release("vad", 700)
		f.publish(0, acme)
		time.Sleep(20 * time.Minute)
		f.wantVersion(acme, 0, 2)
		if until := f.nodes[1].gossip.parole.until(f.nodes[0].host.ID()); !until.IsZero() {
			t.Error("a peer went on parole for a publisher that is not pinned")
		}
		f.connect(0, 2)
		time.Sleep(time.Second)
		f.wantVersion(acme, 1, 2)
	})
}

// believer believes every head and so forwards what no honest node would.
type believer struct{ *memoryState }

func (b believer) CheckHead(trust.Head) (trust.Verdict, error) { return trust.HeadSame, nil }

// A forged head goes no further than the first honest node, and whoever sent
// it is on parole there.
func TestForgedHeadIsNotForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		watch := &watcher{memoryState: rootsOf(acme)}
		f := newFlock(t, LAN, believer{rootsOf(acme)}, rootsOf(acme), watch)
		f.line()
		acme.release("vad", 700)
		forged := acme.head()
		forged.Timestamp = append([]byte(nil), forged.Timestamp...)
		forged.Timestamp[60] ^= 1 // inside the signature
		if err := f.nodes[0].gossip.Announce(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if n := watch.heads.Load(); n != 0 {
			t.Errorf("the node behind saw %d heads", n)
		}
		bad := f.nodes[0].host.ID()
		if until := f.nodes[1].gossip.parole.until(bad); !until.After(time.Now()) {
			t.Error("the forger is not on parole")
		}
		f.wantVersion(acme, 0, 1, 2)
		// The forger's connection carries nothing more for a while, but the
		// mesh goes on without it.
		f.publish(1, acme)
		time.Sleep(5 * time.Second)
		f.wantVersion(acme, 1, 1, 2)
	})
}

// watcher counts the heads that reach a node.
type watcher struct {
	*memoryState
	heads atomic.Int64
}

func (w *watcher) CheckHead(h trust.Head) (trust.Verdict, error) {
	w.heads.Add(1)
	return w.memoryState.CheckHead(h)
}

// Heads that are known, old or of strangers are dropped without blame.
func TestVerdicts(t *testing.T) {
	acme, stranger := newAuthor("acme"), newAuthor("stranger")
	acme.release("vad", 700)
	old := acme.head()
	acme.release("vad", 700)
	held := acme.head()
	state := stateOf(acme)
	acme.release("vad", 700)
	stranger.release("vad", 700)
	contradiction := trust.Head{Publisher: acme.fingerprint(), Root: 1, Timestamp: acme.sign(2, []byte("another snapshot"))}
	forged := trust.Head{Publisher: acme.fingerprint(), Root: 1, Timestamp: stranger.sign(9, nil)}
	rotated := acme.head()
	rotated.Root = 2
	encoded := func(h trust.Head) []byte {
		data, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tests := []struct {
		name    string
		data    []byte
		want    pubsub.ValidationResult
		blamed  bool
		lessons int
	}{
		{"new", encoded(acme.head()), pubsub.ValidationAccept, false, 1},
		{"same", encoded(held), pubsub.ValidationIgnore, false, 0},
		{"old", encoded(old), pubsub.ValidationIgnore, false, 0},
		{"not pinned", encoded(stranger.head()), pubsub.ValidationIgnore, false, 0},
		{"needs a newer root", encoded(rotated), pubsub.ValidationIgnore, false, 1},
		{"the publisher contradicts itself", encoded(contradiction), pubsub.ValidationIgnore, false, 0},
		{"forged", encoded(forged), pubsub.ValidationReject, true, 0},
		{"garbage", []byte("garbage"), pubsub.ValidationReject, true, 0},
		{"empty", nil, pubsub.ValidationReject, true, 0},
		{"too long", append(encoded(acme.head()), make([]byte, trust.MaxHeadBytes)...), pubsub.ValidationReject, true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlock(t, LAN, state)
				g := f.nodes[0].gossip
				got := g.validate(context.Background(), "peer", message(test.data))
				if got != test.want {
					t.Errorf("result %d, want %d", got, test.want)
				}
				if blamed := !g.parole.until("peer").IsZero(); blamed != test.blamed {
					t.Errorf("blamed: %t, want %t", blamed, test.blamed)
				}
				g.learn.mu.Lock()
				defer g.learn.mu.Unlock()
				if len(g.learn.lessons) != test.lessons {
					t.Errorf("%d lessons, want %d", len(g.learn.lessons), test.lessons)
				}
			})
		})
	}
}
