package site

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// member is what another node of the site says of itself.
type member struct {
	outside      bool
	gatewaySince uint64
	weight       uint64
	pins         [][]byte
	more         bool
	stints       map[manifest.CID]*stint
}

// heard takes over what a member says of itself. It holds mu.
func (s *Site) heard(p peer.ID, said *state, now time.Time) {
	m := s.members[p]
	if m == nil {
		if len(s.members) == 0 { // what nobody waited for was no stall
			for _, e := range s.errands {
				e.own.grew = now
			}
		}
		m = &member{weight: weigh(p, []byte("gateway")), stints: make(map[manifest.CID]*stint)}
		s.members[p] = m
	}
	m.outside, m.gatewaySince, m.pins, m.more = said.Outside, said.Gateway, said.Pins, said.More
	stints := make(map[manifest.CID]*stint, len(said.Errands))
	for _, st := range said.Errands {
		t := m.stints[st.Release]
		if t == nil {
			t = &stint{weight: weigh(p, st.Release.Bytes())}
		}
		if e := s.errands[st.Release]; t.hear(st, now, s.cfg.Lease) && e != nil {
			e.quiet = now
		}
		stints[st.Release] = t
	}
	for release, t := range m.stints {
		if e := s.errands[release]; t.outside && stints[release] == nil && e != nil {
			e.quiet = now
		}
	}
	m.stints = stints
	s.again = sooner(s.again, now.Add(max(listenInterval, lookShare*s.looked)))
	s.poke()
}

// gone forgets a member. It holds mu.
func (s *Site) gone(p peer.ID, now time.Time) {
	for release, t := range s.members[p].stints {
		if e := s.errands[release]; t.outside && e != nil {
			e.quiet = now
		}
	}
	delete(s.members, p)
	s.look(now)
}

// Member is a node of this site.
type Member struct {
	ID      peer.ID
	Label   string // that it shows; empty for none
	Outside bool   // it has contact with the outside
	Gateway bool   // it is to keep that
	Errands []Work // by release
}

// Work is what a member does about a release.
type Work struct {
	Release manifest.CID
	Outside bool   // it fetches from outside
	Bytes   uint64 // that came from outside so far
}

// Members returns this node and then the other members, in order of their IDs.
func (s *Site) Members() []Member {
	s.mu.Lock()
	own := Member{ID: s.self, Label: s.cfg.Label, Outside: s.contact, Gateway: s.gatewaySince != 0}
	for _, e := range s.queue {
		own.Errands = append(own.Errands, Work{Release: e.release, Outside: e.own.outside, Bytes: e.own.bytes})
	}
	var others []Member
	for id, m := range s.members {
		other := Member{ID: id, Outside: m.outside, Gateway: m.gatewaySince != 0}
		for release, t := range m.stints {
			other.Errands = append(other.Errands, Work{Release: release, Outside: t.outside, Bytes: t.bytes})
		}
		others = append(others, other)
	}
	s.mu.Unlock()
	slices.SortFunc(others, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	all := append([]Member{own}, others...)
	for i := range all {
		if i > 0 {
			all[i].Label = s.LabelOf(all[i].ID)
		}
		slices.SortFunc(all[i].Errands, func(a, b Work) int { return bytes.Compare(a.Release.Bytes(), b.Release.Bytes()) })
	}
	return all
}
