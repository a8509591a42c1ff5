package site

import (
	"bytes"
	"cmp"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// How gateways are chosen.
const (
	// widening is how long a site without any contact waits before twice as many
	// members try to get some; the lease, if that is longer.
	widening     = 30 * time.Second
	maxWidenings = 16
	// A member that is no gateway looks outside for itself for visitTime every
	// visitEvery, up to half longer: gateways may be deaf, or lie.
	visitEvery = 12 * time.Hour
	visitTime  = 2 * time.Minute
)

// runner is a member that may be a gateway.
type runner struct {
	id           peer.ID
	outside      bool
	gatewaySince uint64
	weight       uint64
	pins         [][]byte
	more         bool
}

// gatewayBefore orders members by who is to be a gateway: who has contact; who
// is one, the longest first, so that it goes on; by weight.
func gatewayBefore(a, b runner) int {
	return cmp.Or(
		-compareBool(a.outside, b.outside), -compareBool(a.gatewaySince != 0, b.gatewaySince != 0),
		cmp.Compare(a.gatewaySince, b.gatewaySince), cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id),
	)
}

// elect works out whether this node is a gateway, and returns when to look again
// if nothing happens; the zero time for never.
func (s *Site) elect(now time.Time) (again time.Time) {
	is := len(s.members) == 0
	if is {
		s.dark = time.Time{}
	} else {
		is, again = s.elected(now)
		for _, e := range s.errands {
			is = is || e.needed
		}
		end := s.visit.Add(visitTime)
		switch {
		case now.Before(s.visit):
			again = sooner(again, s.visit)
		case now.Before(end):
			is, again = true, sooner(again, end)
		default:
			s.planVisit(now)
			again = sooner(again, s.visit)
		}
	}
	if is == (s.gatewaySince != 0) {
		return again
	}
	s.gatewaySince = 0
	if is {
		s.gatewaySince = uint64(max(1, now.Unix()))
	} else {
		s.planVisit(now)
	}
	close(s.gatewayChanged)
	s.gatewayChanged = make(chan struct{})
	s.cfg.Logger.Info("site", slog.Bool("gateway", is), slog.Int("members", len(s.members)+1))
	return again
}

// planVisit says when this node will look outside for itself.
func (s *Site) planVisit(now time.Time) { s.visit = now.Add(visitEvery + rand.N(visitEvery/2)) }

// elected says whether this node is among those that all members, knowing the
// same, choose: the first few, and after them who pins a publisher that nobody
// before it pins and so would hear nothing of it.
func (s *Site) elected(now time.Time) (is bool, again time.Time) {
	runners := []runner{{s.self, s.contact, s.gatewaySince, s.weight, s.pins, s.morePins}}
	anyOutside := s.contact
	for id, m := range s.members {
		runners = append(runners, runner{id, m.outside, m.gatewaySince, m.weight, m.pins, m.more})
		anyOutside = anyOutside || m.outside
	}
	places := s.cfg.Gateways
	switch {
	case anyOutside:
		s.dark = time.Time{}
	case s.dark.IsZero():
		s.dark = now
		fallthrough
	default:
		step := max(widening, s.cfg.Lease)
		steps := min(int(now.Sub(s.dark)/step), maxWidenings)
		if places <<= steps; places <= len(s.members) {
			again = s.dark.Add(time.Duration(steps+1) * step)
		}
	}
	slices.SortFunc(runners, gatewayBefore)
	heard := make(map[string]bool)
	more := false
	for i, r := range runners {
		chosen := i < places || (r.more && !more)
		for _, p := range r.pins {
			chosen = chosen || !heard[string(p)]
		}
		if r.id == s.self {
			return chosen, again
		}
		if chosen {
			more = more || r.more
			for _, p := range r.pins {
				heard[string(p)] = true
			}
		}
	}
	return true, again // not reached: self is among them
}

// Gateway says whether this node is to keep contact with the outside, and gives
// a channel that is closed at the next change. A node without members is a
// gateway; Gateways members of a site are, and a few more for a while where that
// is needed to get a release or to hear of a publisher.
func (s *Site) Gateway() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gatewaySince != 0, s.gatewayChanged
}

// Pins tells the members which publishers this node pins, by their fingerprints
// of at least 8 bytes each: a site needs gateways that hear of all of them, since
// nobody passes on news of publishers that it cannot verify. Call it at the start
// and at each change.
func (s *Site) Pins(fingerprints [][]byte) {
	var pins [][]byte
	for _, f := range fingerprints {
		if len(f) >= pinBytes {
			pins = append(pins, bytes.Clone(f[:pinBytes]))
		}
	}
	slices.SortFunc(pins, bytes.Compare)
	pins = slices.CompactFunc(pins, bytes.Equal)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.morePins = len(pins) > MaxPins
	s.pins = pins[:min(len(pins), MaxPins)]
	s.look(time.Now())
}

// sooner returns the earlier one of two times, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
