package gossip

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
)

// promptly is within what an announcement reaches a connected peer that the
// topic mesh has not taken in: the pause before the check, for the side with
// the higher ID twice, and some round trips.
const promptly = 5 * time.Second

// arrives returns how long it takes until a node holds a version, at most limit.
func (f *flock) arrives(a *author, version int64, node int, limit time.Duration) time.Duration {
	f.t.Helper()
	begun := time.Now()
	for time.Since(begun) < limit {
		if f.nodes[node].state.(interface{ version(*author) int64 }).version(a) >= version {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// Whenever after a contact a node announces something, its new peer has it
// within seconds: while the hosts identify each other, while the first session
// is under way, before the topic mesh has taken the peer in, and after that.
func TestAnnouncedAtAnyMomentAfterContact(t *testing.T) {
	var moments []time.Duration
	for ms := range 30 {
		moments = append(moments, time.Duration(ms)*10*time.Millisecond)
	}
	for s := range 60 {
		moments = append(moments, time.Duration(s+1)*time.Second)
	}
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		for publisher := range 2 { // one of them has the lower ID
			t.Run(fmt.Sprintf("%s/%d", preset, publisher), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					acme := newAuthor("acme")
					f := newFlock(t, preset, rootsOf(acme), rootsOf(acme))
					time.Sleep(time.Second) // past the first heartbeat
					for i, moment := range moments {
						f.connect(0, 1)
						time.Sleep(moment)
						acme.release("vad", 700)
						f.publish(publisher, acme)
						if took := f.arrives(acme, int64(i+1), 1-publisher, time.Hour); took > promptly {
							t.Errorf("announced %s after the contact: arrived after %s, want %s", moment, took, promptly)
						}
						f.disconnect(0, 1)
						time.Sleep(time.Second)
					}
				})
			})
		}
	}
}

// The same over two hops, neither of which the topic mesh has taken in.
func TestAnnouncedRightAfterContact(t *testing.T) {
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		synctest.Test(t, func(t *testing.T) {
			acme := newAuthor("acme")
			f := newFlock(t, preset, rootsOf(acme), rootsOf(acme), rootsOf(acme))
			time.Sleep(time.Second)
			f.connect(0, 1)
			f.connect(1, 2)
			time.Sleep(time.Second)
			acme.release("vad", 700)
			f.publish(0, acme)
			if took := f.arrives(acme, 1, 2, time.Hour); took > 2*promptly {
				t.Errorf("%s: arrived after %s, want %s", preset, took, 2*promptly)
			}
			f.wantVersion(acme, 1, 1)
		})
	}
}

// A node with more peers than its topic mesh takes tells them all.
func TestAnnouncedToCrowd(t *testing.T) {
	const leaves = 12
	for _, preset := range []Preset{LAN, WAN, Narrow, Satellite} {
		synctest.Test(t, func(t *testing.T) {
			acme := newAuthor("acme")
			states := make([]State, leaves+1)
			for i := range states {
				states[i] = rootsOf(acme)
			}
			f := newFlock(t, preset, states...)
			for leaf := range leaves {
				f.connect(leaf+1, 0)
			}
			f.settle()
			acme.release("vad", 700)
			f.publish(0, acme)
			for leaf := range leaves {
				if took := f.arrives(acme, 1, leaf+1, time.Hour); took > promptly {
					t.Errorf("%s: arrived after %s at leaf %d, want %s", preset, took, leaf+1, promptly)
				}
			}
		})
	}
}

// A change during a session is not forgotten when the session ends, and one
// check per pair is enough.
func TestChangeDuringSession(t *testing.T) {
	m := newMeetings(params{heartbeat: 30 * time.Second, syncInterval: time.Hour, syncFallback: time.Minute})
	m.arrived("a", "p")
	acme := newAuthor("acme")
	acme.release("vad", 700)
	within := func(want time.Duration) {
		t.Helper()
		if got := time.Until(m.peers["p"].due); got > want+want/4 {
			t.Errorf("next session in %s, want about %s", got, want)
		}
	}
	seen := m.seen()
	m.changed("", acme.head())
	m.met("p", seen, true)
	within(checkOutside)
	m.met("p", m.seen(), true)
	if got := time.Until(m.peers["p"].due); got < 45*time.Minute {
		t.Errorf("next session in %s although the last one saw the change", got)
	}
	m.changed("p", acme.head())
	if got := time.Until(m.peers["p"].due); got < 45*time.Minute {
		t.Errorf("next session in %s with the peer that has brought the change", got)
	}
	graft := pb.TraceEvent_GRAFT
	m.follow(&pb.TraceEvent{Type: &graft, Graft: &pb.TraceEvent_Graft{PeerID: []byte("p")}})
	m.changed("", acme.head())
	within(checkOutside) // it may have joined after the announcement had passed
	m.met("p", m.seen(), true)
	m.mesh["p"] = time.Now().Add(-time.Minute)
	m.changed("", acme.head())
	within(checkHeartbeats * 30 * time.Second)
	if got := time.Until(m.peers["p"].due); got < time.Minute {
		t.Errorf("next session in %s with a peer in the topic mesh", got)
	}
}
