package site

import (
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
	// needAfter is how long nothing may come to members that joined, of which none
	// has contact with the outside, before one of them gets some: members that did
	// not join may have the release.
	needAfter = 5 * time.Second
	// firstPart is the part of a lease within which something must come at all:
	// who is not connected to anybody that has the release had better give way.
	firstPart = 5
	// maxRank bounds how long anybody waits for those before it.
	maxRank = 16
)

// decide works out whose turn the errand is, and returns when to look again if
// nothing happens until then; the zero time for never.
func (s *Site) decide(e *errand, now time.Time) (again time.Time) {
	lookAt := func(t time.Time) {
		if t.After(now) && (again.IsZero() || t.Before(again)) {
			again = t
		}
	}
	if len(s.members) == 0 { // alone
		e.needed = false
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
		if c.outside && !c.lapsed && now.Sub(c.grew) >= c.lease(lease) {
			c.lapse()
			e.quiet = now
		}
		if c.contact {
			able++
		}
		if c.outside && !c.lapsed && (c.contact || (c.self && !rivals.joined)) {
			holders = append(holders, c)
			lookAt(c.grew.Add(c.lease(lease)))
		} else if c.contact {
			waiting = append(waiting, c)
		}
	}
	slices.SortFunc(all, before)
	starved, hungry := s.starved(e, holders, rankOfSelf(all), now)
	lookAt(hungry)
	places := e.places(able, s.cfg.Gateways)

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

// starved says whether others claim to fetch and nothing gets here for longer
// than this node, of that rank, bears; or when that will be.
func (s *Site) starved(e *errand, holders []contender, rank int, now time.Time) (is bool, at time.Time) {
	if !e.listed {
		return false, at
	}
	for _, h := range holders {
		since := e.fed
		if h.since.After(since) {
			since = h.since
		}
		if !h.self {
			at = sooner(at, since.Add(time.Duration(patience+min(rank, maxRank))*s.cfg.Lease))
		}
	}
	return due(at, now), at
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
// with the outside: of those that joined it, it is the first to have that, or to
// get it where nobody does and nothing comes; or what others claim to fetch does
// not get here. It returns when to look again; the zero time for never.
func (s *Site) need(e *errand, all []contender, able int, starved bool, now time.Time) (again time.Time) {
	slices.SortFunc(all, contactBefore)
	rank := rankOfSelf(all)
	switch {
	case !e.listed: // it waits
		e.needed = false
		return again
	case starved, rank == 0 && s.contact:
		e.needed = true
		return again
	case able > 0:
		e.needed = false
		return again
	case e.needed:
		return again
	}
	quiet := e.fed
	if e.quiet.After(quiet) && rank > 0 {
		quiet = e.quiet
	}
	at := quiet.Add(needAfter + time.Duration(min(rank, maxRank))*s.cfg.Lease)
	e.needed = !now.Before(at)
	return at
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
