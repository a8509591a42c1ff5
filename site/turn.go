package site

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// How turns are given.
const (
	// settle is how long a node that has just joined an errand waits, so that it
	// hears first what the others do.
	settle = 150 * time.Millisecond
	// wideBytes missing are worth a second member that fetches.
	wideBytes = 4 << 20
	maxPlaces = 2
	// patience is how many leases a member bears that nothing reaches it while
	// others claim to fetch; then it fetches for itself.
	patience = 4
	// maxRank bounds how long anybody waits for those before it.
	maxRank = 16
)

// stint is what is known of a member's work on a release.
type stint struct {
	weight  uint64 // whose turn it is, by rendezvous hashing
	outside bool   // it fetches from outside
	bytes   uint64 // that came from outside
	grew    time.Time
	lapsed  bool // nothing came for a lease
	lapses  int  // how often that happened
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
func (t *stint) begin(now time.Time) { t.outside, t.lapsed, t.grew = true, false, now }

// end ends a turn. One that was given up early was none that stalled.
func (t *stint) end(now time.Time, lease time.Duration) {
	if t.outside && !t.lapsed && now.Sub(t.grew) >= lease/2 {
		t.lapses++
	}
	t.outside, t.lapsed = false, false
}

// hear takes over what a member says of its stint, and says whether that is a
// reason for others to wait on.
func (t *stint) hear(s stance, now time.Time, lease time.Duration) (news bool) {
	switch {
	case s.Outside && (!t.outside || s.Bytes > t.bytes):
		t.begin(now)
		news = true
	case !s.Outside && t.outside:
		t.end(now, lease)
		news = true
	}
	t.bytes = s.Bytes
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

// decide works out whose turn the errand is, and returns when to look again if
// nothing happens until then; the zero time for never.
func (s *Site) decide(e *errand, now time.Time) (again time.Time) {
	lookAt := func(t time.Time) {
		if t.After(now) && (again.IsZero() || t.Before(again)) {
			again = t
		}
	}
	e.needed = false
	if len(s.members) == 0 { // alone
		if !e.own.outside {
			e.own.begin(now)
		}
		e.give(Turn{Outside: true, Sharers: []peer.ID{s.self}, Isolated: !s.contact})
		return again
	}
	all, rivals := s.contenders(e)
	lease := s.cfg.Lease
	var holders, waiting []contender
	able := 0 // how many could fetch from outside
	for _, c := range all {
		if c.outside && !c.lapsed && now.Sub(c.grew) >= lease {
			c.lapsed = true
			c.lapses++
			e.quiet = now
		}
		if c.contact {
			able++
		}
		if c.outside && !c.lapsed && (c.contact || (c.self && !rivals.joined)) {
			holders = append(holders, c)
			lookAt(c.grew.Add(lease))
		} else if c.contact {
			waiting = append(waiting, c)
		}
	}
	slices.SortFunc(all, before)
	hungry := e.fed.Add(time.Duration(patience+min(rankOfSelf(all), maxRank)) * lease)
	starved := e.listed && !now.Before(hungry)
	lookAt(hungry)
	places := e.places(able)

	slices.SortFunc(holders, heldBefore)
	mine := rankOfSelf(holders)
	switch {
	case mine >= places && !starved:
		holders = slices.Delete(holders, mine, mine+1)
		e.own.end(now, lease)
		e.quiet = now
	case mine >= 0:
	case !s.contact:
		e.own.end(now, lease)
	case starved:
		e.own.begin(now)
	default:
		e.own.end(now, lease)
		if !e.listed {
			if !rivals.any {
				e.own.begin(now)
			}
			break
		}
		slices.SortFunc(waiting, before)
		at := s.turnAt(e, rankOfSelf(waiting)-(places-len(holders)), rivals.any, now)
		if !at.IsZero() && !now.Before(at) {
			e.own.begin(now)
		} else {
			lookAt(at)
		}
	}
	if e.own.outside && mine < 0 {
		lookAt(now.Add(lease))
	}
	lookAt(s.need(e, all, able, starved, now))
	turn := turnOf(holders, s.self, e.own.outside)
	turn.Isolated = !s.contact && !rivals.any
	e.give(turn)
	return again
}

// turnAt is when the turn comes to a waiting member, the zero time for not until
// a place is free. over is how many stand before it beyond the free places: -1
// and less for none.
func (s *Site) turnAt(e *errand, over int, rivals bool, now time.Time) time.Time {
	if over >= 0 {
		return e.quiet.Add(time.Duration(min(over+1, maxRank)) * s.cfg.Lease)
	}
	settled := s.contactAt.Add(settle)
	if !rivals && !now.Before(settled) {
		return now // nobody else could
	}
	if joined := e.joined.Add(settle); joined.After(settled) {
		settled = joined
	}
	return settled
}

// need works out whether the errand is a reason for this node to have contact
// with the outside: nobody else that joined it does, or what others claim to
// fetch does not get here.
func (s *Site) need(e *errand, all []contender, able int, starved bool, now time.Time) (again time.Time) {
	slices.SortFunc(all, contactBefore)
	rank := rankOfSelf(all)
	e.needed = rank == 0 || starved
	if !e.needed && able == 0 {
		at := e.quiet.Add(time.Duration(min(rank, maxRank)) * s.cfg.Lease)
		e.needed = !now.Before(at)
		return at
	}
	return time.Time{}
}

// turnOf says what follows from who has a turn now.
func turnOf(holders []contender, self peer.ID, outside bool) Turn {
	t := Turn{Outside: outside}
	for _, c := range holders {
		if !c.self {
			t.Sharers = append(t.Sharers, c.id)
		}
	}
	if outside {
		t.Sharers = append(t.Sharers, self)
	}
	slices.Sort(t.Sharers)
	return t
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

func compareReleases(a, b stance) int { return bytes.Compare(a.Release.Bytes(), b.Release.Bytes()) }
