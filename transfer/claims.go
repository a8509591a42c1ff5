package transfer

import (
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Fetchers tell each other what they have asked for outside of their sites and
// do not hold yet: their claims. What another one has claimed is left to it and
// taken from there once it has arrived, so that no byte crosses an expensive
// link twice, within a site and among sites. A claim is believed as long as the
// one who made it shows that something arrives, and never for longer than
// claimLongest without a chunk that came: who claims and does not deliver holds
// nobody up for long.

// claimLongest is longer than a chunk of 128 KiB takes at 9.6 kbit/s.
const claimLongest = 5 * time.Minute

// claims returns the chunks of a file that were asked for outside and are not
// here, and a number that grows while some of them arrive.
func (p *plan) claims(id manifest.FileID) (r manifest.Ranges, bytes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := slices.IndexFunc(p.files, func(f planFile) bool { return f.id == id })
	if n < 0 {
		return nil, 0
	}
	f := &p.files[n]
	for i := range f.chunks.Len() {
		c := &p.slots[f.base+i]
		if c.missing && slices.ContainsFunc(c.owners[:], func(s *session) bool { return s != nil && s.outside }) {
			if r = r.Add(i); len(r) == maxSpans {
				break
			}
		}
	}
	return r, p.outsideBytes
}

// claimed notes what the peer of s has asked others for; false if it names
// chunks that are not.
func (p *plan) claimed(s *session, c *coming, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(c.File) >= len(p.files) || c.Chunks.End() > p.files[c.File].chunks.Len() {
		return false
	}
	f := &p.files[c.File]
	if s.claims == nil {
		s.claims = make([]uint64, len(s.has))
	}
	before := s.claimCount
	for i := f.base; i < f.base+f.chunks.Len(); i++ {
		if bit(s.claims, i) {
			s.claims[i/64] &^= 1 << (i % 64)
			s.claimCount--
		}
	}
	for i := range c.Chunks.All() {
		i += f.base
		s.claims[i/64] |= 1 << (i % 64)
		s.claimCount++
	}
	if before == 0 {
		s.claimKept = now
	}
	if before == 0 || c.Bytes != s.claimBytes {
		s.claimFresh, s.claimBytes = now, c.Bytes
	}
	s.fetches = s.fetches || s.claimCount > 0
	for o := range p.sessions {
		o.poke()
	}
	return true
}

// claimers returns the sessions whose peers' claims count for s.
func (p *plan) claimers(s *session, now time.Time) (live []*session) {
	for o := range p.sessions {
		if o != s && o.claimCount > 0 && now.Sub(o.claimFresh) < 2*max(o.pace.stall, p.stall) && now.Sub(o.claimKept) < claimLongest {
			live = append(live, o)
		}
	}
	return live
}

// nearby returns the sessions at peers inside the site that deliver.
func (p *plan) nearby(now time.Time) (near []*session) {
	for o := range p.sessions {
		if !o.outside && o.count > 0 && !o.stalled(now) {
			near = append(near, o)
		}
	}
	return near
}

// bit says whether bit i is set.
func bit(set []uint64, i int) bool { return set != nil && set[i/64]&(1<<(i%64)) != 0 }

func anyClaims(sessions []*session, i int) bool {
	return slices.ContainsFunc(sessions, func(s *session) bool { return bit(s.claims, i) })
}

// announce tells the sessions served that slots were claimed.
func (p *plan) announce(t *Transfer, slots []int) {
	last := -1
	for _, i := range slots {
		if file, _ := p.locate(i); file != last {
			last = file
			t.hub.changed(p.files[file].id)
		}
	}
}

// told is what a session served was told of the claims on a file.
type told struct {
	chunks manifest.Ranges
	bytes  uint64
	at     time.Time
}

// planOf returns the fetch of a file that runs here, if one does.
func (t *Transfer) planOf(id manifest.FileID) *plan {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.plans[id]
}

// planned makes a fetch known to the sessions served, until the function
// returned is called.
func (t *Transfer) planned(p *plan) (forget func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range p.files {
		t.plans[f.id] = p
	}
	return func() {
		t.mu.Lock()
		for _, f := range p.files {
			if t.plans[f.id] == p {
				delete(t.plans, f.id)
			}
		}
		t.mu.Unlock()
		for _, f := range p.files {
			t.hub.changed(f.id)
		}
	}
}

// sendComing tells what this node has claimed of a file, if that is news or due
// again.
func (s *serving) sendComing(number uint32) error {
	s.mu.Lock()
	id := s.files[number]
	before, begun := s.claimed[number]
	s.mu.Unlock()
	var chunks manifest.Ranges
	var bytes uint64
	p := s.t.planOf(id)
	if p != nil {
		chunks, bytes = p.claims(id)
	}
	now := time.Now()
	same := slices.Equal(before.chunks, chunks)
	if same && (before.bytes == bytes || now.Sub(before.at) < s.pace.stall/2) && (begun || p == nil) {
		return nil
	}
	s.mu.Lock()
	s.claimed[number] = told{chunks, bytes, now}
	s.mu.Unlock()
	return s.conn.send(&message{Coming: &coming{File: number, Chunks: chunks, Bytes: bytes}})
}

// refresh returns when claims that were told are to be told again, zero for
// never, and notes them as due if that is now.
func (s *serving) refresh(now time.Time) (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, c := range s.claimed {
		if len(c.chunks) == 0 {
			continue
		}
		due := c.at.Add(s.pace.stall / 2)
		if !now.Before(due) {
			if s.stales[number] == 0 {
				s.stales[number] = 1
			}
			due = now.Add(s.pace.stall / 2)
		}
		next = sooner(next, due)
	}
	return next
}
