package site

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Turn is what a node is to do about a release.
type Turn struct {
	// Outside says that this node may ask peers outside of its site.
	Outside bool
	// Sharers are the members of the site that fetch from outside, in ascending
	// order, this node among them if Outside. It is shared, not to be changed.
	Sharers []peer.ID
	// Isolated says that no member has contact with the outside: there is
	// nothing to take turns at.
	Isolated bool
}

// Errand is one release that this node is getting, see [Site.Join]. Safe for
// concurrent use.
type Errand struct {
	site   *Site
	errand *errand

	bytes, missing uint64 // guarded by site.mu
	left           bool   // guarded by site.mu
}

// errand is a release that this node is getting, however many times it was
// joined. Guarded by Site.mu.
type errand struct {
	release manifest.CID
	joins   int
	listed  bool // the others are told of it

	own     stint
	missing uint64    // in sum
	wide    bool      // much is or was missing
	joined  time.Time // since when
	quiet   time.Time // since then nothing has got on in the site
	fed     time.Time // when something last came here, from wherever
	needed  bool      // this node is to have contact with the outside because of it

	turn    Turn
	changed chan struct{} // closed when turn is replaced
}

// Join tells the members that this node is getting the release, until the errand
// is left, and asks for its turn. It never blocks, and works before and after
// Run too: a node without members always has the turn. A release may be joined
// several times at once; members see one.
func (s *Site) Join(release manifest.CID) *Errand {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e := s.errands[release]
	if e == nil {
		e = &errand{release: release, joined: now, quiet: now, fed: now, changed: make(chan struct{})}
		e.own.weight = weigh(s.self, release.Bytes())
		s.errands[release] = e
		s.queue = append(s.queue, e)
		s.list(now)
	}
	join := &Errand{site: s, errand: e}
	e.joins++
	s.look(now)
	return join
}

// Turn says what to do now, and gives a channel that is closed at the next
// change.
func (e *Errand) Turn() (Turn, <-chan struct{}) {
	e.site.mu.Lock()
	defer e.site.mu.Unlock()
	return e.errand.turn, e.errand.changed
}

// Came notes how many bytes have come from outside, which renews the turn, and
// how many are still missing, from wherever they come. The count of bytes may
// begin anew at any time, for the next part of the release. Call it whenever one
// of them changes: where less and less is missing the node is being fed, where
// nothing changes for long it will fetch for itself.
func (e *Errand) Came(bytes, missing uint64) {
	s := e.site
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.left || (bytes == e.bytes && missing == e.missing) {
		return
	}
	now, shared := time.Now(), e.errand
	came := bytes - min(e.bytes, bytes)
	if bytes < e.bytes { // anew
		came = bytes
	}
	if came > 0 || missing < e.missing {
		shared.fed = now
	}
	shared.missing += missing - e.missing // in arithmetic modulo 2^64
	e.bytes, e.missing = bytes, missing
	begun, wide := shared.own.bytes > 0, shared.wide
	shared.wide = wide || shared.missing >= wideBytes
	if came > 0 {
		shared.own.bytes += came
		if shared.own.outside {
			shared.own.grew, shared.own.lapsed, shared.quiet = now, false, now
		}
	}
	switch {
	case came > 0 && !begun, wide != shared.wide:
		s.look(now)
	case came > 0 && shared.listed:
		s.tell(s.toldAt.Add(growthInterval))
	}
}

// Leave ends the errand, done or not. It may be called again.
func (e *Errand) Leave() {
	s := e.site
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.left {
		return
	}
	e.left = true
	now, shared := time.Now(), e.errand
	shared.missing -= e.missing
	if shared.joins--; shared.joins == 0 {
		delete(s.errands, shared.release)
		s.queue = slices.DeleteFunc(s.queue, func(q *errand) bool { return q == shared })
		s.list(now)
	}
	s.look(now)
}

// list tells the others of the first MaxErrands errands in the queue.
func (s *Site) list(now time.Time) {
	for i, e := range s.queue {
		if listed := i < MaxErrands; listed != e.listed {
			e.listed = listed
			if !listed && len(s.members) > 0 {
				e.own.end(now, s.cfg.Lease) // nobody would know of it
			}
			e.joined, e.quiet, e.fed = now, now, now
		}
	}
}

// rotate lets errands on which nothing gets on give way to those that wait to be
// told of. It holds mu.
func (s *Site) rotate(now time.Time) {
	if len(s.queue) <= MaxErrands {
		return
	}
	stuck := func(e *errand) bool { return e.listed && now.Sub(e.fed) >= patience*s.cfg.Lease }
	if i := slices.IndexFunc(s.queue, stuck); i >= 0 {
		e := s.queue[i]
		s.queue = append(slices.Delete(s.queue, i, i+1), e)
		s.list(now)
	}
}

// places is how many members are to fetch from outside, of those that can and
// of as many as are to keep contact.
func (e *errand) places(able, gateways int) int {
	if !e.wide {
		return 1
	}
	return max(1, min(able, gateways, maxPlaces))
}

// give replaces the turn, if it is another one.
func (e *errand) give(t Turn) {
	if equalTurns(t, e.turn) {
		return
	}
	e.turn = t
	close(e.changed)
	e.changed = make(chan struct{})
}
