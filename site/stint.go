package site

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// stint is what is known of a member's work on a release.
type stint struct {
	weight  uint64    // whose turn it is, by rendezvous hashing
	outside bool      // it fetches from outside
	bytes   uint64    // that came from outside
	grew    time.Time // when bytes last came, or the turn began
	since   time.Time // when it first began and has not stalled since; zero for never
	lapsed  bool      // nothing came for a lease
	lapses  uint64    // how often that happened
	said    uint64    // how often that happened, as the member itself counts
}

// weigh is the rendezvous weight of a member for a key: the highest wins, each
// member is as likely to win as the next, and one that leaves changes nothing
// among the others (Thaler and Ravishankar, "A Name-Based Mapping Scheme for
// Rendezvous", 1996).
func weigh(p peer.ID, key []byte) uint64 {
	sum := sha256.Sum256(append([]byte(p), key...))
	return binary.BigEndian.Uint64(sum[:8])
}

// begin starts a turn.
func (t *stint) begin(now time.Time) {
	t.outside, t.lapsed, t.grew = true, false, now
	if t.since.IsZero() {
		t.since = now
	}
}

// lapse notes that nothing has come for a lease.
func (t *stint) lapse() {
	t.lapsed, t.since = true, time.Time{}
	t.lapses++
}

// lease is how long nothing may come to the one whose turn it is.
func (t *stint) lease(whole time.Duration) time.Duration {
	if t.bytes == 0 {
		return whole / firstPart
	}
	return whole
}

// end ends a turn. One that was given up early was none that stalled.
func (t *stint) end(now time.Time, lease time.Duration) {
	if t.outside && !t.lapsed && now.Sub(t.grew) >= lease/2 {
		t.lapse()
	}
	t.outside, t.lapsed = false, false
}

// hear takes over what a member says of its stint, and says whether that is a
// reason for others to wait on.
func (t *stint) hear(s stance, now time.Time, lease time.Duration) (news bool) {
	switch {
	case s.Outside && (!t.outside || s.Bytes > t.bytes || s.Stalls > t.said):
		t.begin(now)
		news = true
	case !s.Outside && t.outside:
		t.end(now, lease)
		news = true
	}
	t.bytes, t.said, t.lapses = s.Bytes, s.Stalls, max(t.lapses, s.Stalls)
	return news
}

// contender is a member that joined an errand.
type contender struct {
	*stint
	id      peer.ID
	contact bool // with the outside
	gateway bool
	self    bool
}

// before orders contenders: those that stalled less often, then by weight.
func before(a, b contender) int {
	return cmp.Or(cmp.Compare(a.lapses, b.lapses), cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
}

// heldBefore orders contenders that have a turn, so that those too many give
// way: first those to which something has come.
func heldBefore(a, b contender) int {
	return cmp.Or(-compareBool(a.bytes > 0, b.bytes > 0), cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
}

// contactBefore orders contenders by who is to have contact with the outside.
func contactBefore(a, b contender) int {
	return cmp.Or(-compareBool(a.contact, b.contact), -compareBool(a.gateway, b.gateway), before(a, b))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func rankOfSelf(list []contender) int {
	return slices.IndexFunc(list, func(c contender) bool { return c.self })
}

// rivalry says who else could fetch from outside.
type rivalry struct {
	any    bool // a member has contact
	joined bool // one that joined the errand has
}

func (s *Site) contenders(e *errand) ([]contender, rivalry) {
	all := []contender{{stint: &e.own, id: s.self, contact: s.contact, gateway: s.gatewaySince != 0, self: true}}
	var rivals rivalry
	for id, m := range s.members {
		rivals.any = rivals.any || m.outside
		if t := m.stints[e.release]; t != nil {
			rivals.joined = rivals.joined || m.outside
			all = append(all, contender{stint: t, id: id, contact: m.outside, gateway: m.gatewaySince != 0})
		}
	}
	return all, rivals
}

func equalTurns(a, b Turn) bool {
	return a.Outside == b.Outside && a.Isolated == b.Isolated && slices.Equal(a.Sharers, b.Sharers)
}
