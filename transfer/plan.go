package transfer

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	// maxDoubled bounds the endgame: so many chunks are asked of a second peer
	// at once.
	maxDoubled = 16
	// maxAsked bounds the chunks asked of one peer at once, well under what a
	// server queues.
	maxAsked = maxQueued / 4
)

// plan says which chunk is missing, who holds it and who was asked for it. One
// lock guards it and the bookkeeping of all sessions of the fetch.
type plan struct {
	budget *budget       // memory for chunks asked for
	self   peer.ID       // of this node
	stall  time.Duration // of the links to the outside

	mu           sync.Mutex
	files        []planFile
	slots        []slot // all chunks of all files, in order
	left         int    // slots missing
	sessions     map[*session]bool
	parts        map[int][]byte // of frames that were cut off, by slot
	partBytes    int
	doubled      int // slots with two owners
	progress     Progress
	turn         Turn
	settled      time.Time     // nothing is asked outside before
	outsideBytes uint64        // frame bytes that came from outside
	done         chan struct{} // closed when nothing is missing
}

// planFile is a file with something missing. Immutable.
type planFile struct {
	id     manifest.FileID
	chunks manifest.Chunks
	base   int // slot of chunk 0
}

// slot is a chunk.
type slot struct {
	owners  [2]*session // asked for it; the second only in the endgame
	key     uint64      // see mine
	bytes   uint32
	holders uint16 // sessions whose peer holds it
	missing bool
}

func newPlan(b *budget) *plan {
	return &plan{budget: b, sessions: map[*session]bool{}, turn: Turn{Outside: true}, parts: map[int][]byte{}, done: make(chan struct{})}
}

// add takes a file into the plan, before any session is.
func (p *plan) add(f planFile, held manifest.Ranges) {
	f.base = len(p.slots)
	name := seedOf(f.id.Digests.Bytes())
	for i := range f.chunks.Len() {
		_, n := f.chunks.At(i)
		p.slots = append(p.slots, slot{key: shareKey(name, i, f.chunks.Len()), bytes: uint32(n), missing: true})
	}
	for i := range held.All() {
		if i < f.chunks.Len() {
			p.slots[f.base+i].missing = false
		}
	}
	for _, s := range p.slots[f.base:] {
		if s.missing {
			p.left++
			p.progress.WantedBytes += uint64(s.bytes)
		}
	}
	p.files = append(p.files, f)
}

// ready ends the adding.
func (p *plan) ready() {
	if p.left == 0 {
		close(p.done)
	}
}

// locate returns the file and the chunk that a slot stands for.
func (p *plan) locate(i int) (file, chunk int) {
	file, found := slices.BinarySearchFunc(p.files, i, func(f planFile, i int) int { return f.base - i })
	if !found {
		file--
	}
	return file, i - p.files[file].base
}

// join takes a session in.
func (p *plan) join(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[s] = true
	s.has = make([]uint64, (len(p.slots)+63)/64)
	s.seed = seedOf([]byte(s.peer.id))
	s.cursor = begin(p.self, s.peer.id, len(p.slots))
	p.progress.Peers = len(p.sessions)
}

// leave drops a session: what it was asked for is free again.
func (p *plan) leave(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range s.expected {
		if !e.dropped {
			p.disown(e.slot, s)
		}
		p.free(e)
	}
	s.expected = nil
	for i := range p.slots {
		if s.holds(i) {
			p.slots[i].holders--
		}
	}
	delete(p.sessions, s)
	p.progress.Peers = len(p.sessions)
	for o := range p.sessions {
		o.poke()
	}
}

// free gives back the memory reserved for e.
func (p *plan) free(e expected) {
	if e.reserved > 0 {
		p.budget.Release(int64(e.reserved))
	}
}

// disown takes s from the slot's owners.
func (p *plan) disown(i int, s *session) {
	o := &p.slots[i].owners
	switch s {
	case o[0]:
		o[0] = o[1]
	case o[1]:
	default:
		return
	}
	if o[0] != nil {
		p.doubled--
	}
	o[1] = nil
}

// held notes that the peer of s holds chunks of a file; false if it names
// chunks that are not.
func (p *plan) held(s *session, file int, r manifest.Ranges) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if file >= len(p.files) || r.End() > p.files[file].chunks.Len() {
		return false
	}
	s.heard = true
	for i := range r.All() {
		i += p.files[file].base
		if !s.holds(i) {
			if bit(s.claims, i) {
				s.claimKept = time.Now()
			}
			s.has[i/64] |= 1 << (i % 64)
			s.count++
			p.slots[i].holders++
			if p.slots[i].missing {
				s.useful++
			}
		}
	}
	return true
}

// lost notes that the peer of s does not hold a slot after all.
func (p *plan) lost(s *session, i int) {
	if s.holds(i) {
		s.has[i/64] &^= 1 << (i % 64)
		s.count--
		p.slots[i].holders--
		if p.slots[i].missing {
			s.useful--
		}
	}
}

// pick chooses what to ask of s now and books it. It returns slots in order of
// file and chunk, and whether memory was short:
//
//	while the window of s has room, of the slots that are missing, asked of
//	nobody and held by s's peer: those that fewest peers hold; among equals, in
//	order from where s left off; see traders for what is left to others
//	outside of the site only while it is this node's turn, and nothing that a
//	    peer inside holds or that another fetcher has claimed
//	if there are none and nothing is asked of s: slots whose only owner has
//	stalled
func (p *plan) pick(s *session, now time.Time) (picked []int, starved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.outside && (!p.turn.Outside || now.Before(p.settled)) {
		return nil, p.turn.Outside
	}
	room := min(s.window.size(), max(s.pace.minWindow, int(p.budget.size)/(len(p.sessions)+1))) - (s.asked - s.partial)
	room = min(room, s.conn.left()-(s.asked-s.partial))
	if room <= 0 || s.asked > 0 && room < s.window.size()/4 || len(s.expected) >= maxAsked {
		return nil, false
	}
	picked = p.rarest(s, room, maxAsked-len(s.expected), now)
	if len(picked) == 0 && s.asked == 0 {
		picked = p.stalled(s, room, now)
	}
	slices.Sort(picked)
	for n, i := range picked {
		if !p.book(s, i, now) {
			return picked[:n], true
		}
	}
	return picked, false
}

// book makes s an owner of the slot, false if memory is short.
func (p *plan) book(s *session, i int, now time.Time) bool {
	size := int(p.slots[i].bytes)
	reserved := size
	if !p.budget.TryAcquire(int64(size)) {
		if s.asked > 0 || s.storing > 0 {
			return false
		}
		reserved = 0 // a session with nothing under way may always have one
	}
	if o := &p.slots[i].owners; o[0] == nil {
		o[0] = s
	} else {
		o[1] = s
		p.doubled++
	}
	if s.asked == 0 {
		s.progressed, s.since = now, 0
	}
	s.window.asked(now)
	s.expected = append(s.expected, expected{slot: i, reserved: reserved, at: now})
	s.asked += size
	s.cursor = i + 1
	return true
}

// rarest returns free slots for about room bytes, at least one if there is any.
func (p *plan) rarest(s *session, room, most int, now time.Time) []int {
	var others []*session
	var sharers []uint64
	if s.count == len(p.slots) {
		others, sharers = p.traders(s, now), p.sharers()
	}
	var near, claimers []*session
	if s.outside {
		near, claimers = p.nearby(now), p.claimers(s, now)
	}
	self := seedOf([]byte(p.self))
	var own, rest picks
	foreign := 0 // slots in others' shares that nobody has claimed
	for n := range len(p.slots) {
		i := (s.cursor + n) % len(p.slots)
		c := &p.slots[i]
		if !c.missing || c.owners[0] != nil || !s.holds(i) || c.holders > 1 && anyHolds(others, i) ||
			anyHolds(near, i) || anyClaims(claimers, i) {
			continue
		}
		if mine(self, sharers, c.key) {
			own.add(i, c, room, most)
		} else {
			rest.last(i, c, most)
			foreign++
		}
		if own.least == 1 && (own.bytes >= room || len(own.slots) == most) {
			break // nothing can be rarer
		}
	}
	if len(own.slots) > 0 && (len(rest.slots) == 0 || own.least <= rest.least) {
		return own.slots
	}
	// The last ones of a share are left to whoever is at them: two who ask at
	// the same time hear of each other's claims too late.
	if len(own.slots) == 0 && foreign <= 3*len(sharers) && now.Sub(later(s.completed, s.sent)) < s.pace.stall/4 {
		return nil
	}
	// Whoever has them as its share goes forwards, so others go backwards.
	slices.Reverse(rest.slots)
	for n, i := range rest.slots {
		if rest.bytes += int(p.slots[i].bytes); rest.bytes >= room || n+1 == most {
			return rest.slots[:n+1]
		}
	}
	return rest.slots
}

// picks are the rarest slots seen.
type picks struct {
	slots []int
	least uint16 // holders of each
	bytes int
}

func (k *picks) add(i int, c *slot, room, most int) {
	if len(k.slots) == 0 || c.holders < k.least {
		k.slots, k.least, k.bytes = k.slots[:0], c.holders, 0
	}
	if c.holders == k.least && k.bytes < room && len(k.slots) < most {
		k.slots = append(k.slots, i)
		k.bytes += int(c.bytes)
	}
}

// last keeps the last of the rarest slots.
func (k *picks) last(i int, c *slot, most int) {
	if len(k.slots) == 0 || c.holders < k.least {
		k.slots, k.least = k.slots[:0], c.holders
	}
	if c.holders != k.least {
		return
	}
	if len(k.slots) == 2*most {
		k.slots = append(k.slots[:0], k.slots[most:]...)
	}
	k.slots = append(k.slots, i)
}

// traders returns, if s's peer holds all, the sessions at peers that hold a
// part, unless they deliver less than half as fast together. What they hold is
// left to them: a peer that holds all is where chunks come from that nobody
// else has, and others wait for those.
func (p *plan) traders(s *session, now time.Time) (others []*session) {
	if s.count < len(p.slots) {
		return nil
	}
	var rate float64
	fresh := false
	for o := range p.sessions {
		if o.count > 0 && o.count < len(p.slots) && !o.stalled(now) {
			others = append(others, o)
			rate += o.window.rate
			fresh = fresh || o.window.rate == 0 && now.Sub(o.sent) < o.pace.stall
		}
	}
	if !fresh && 2*rate < s.window.rate {
		return nil
	}
	return others
}

func anyHolds(sessions []*session, i int) bool {
	return slices.ContainsFunc(sessions, func(s *session) bool { return s.holds(i) })
}

// stalled returns slots whose only owner has stalled.
func (p *plan) stalled(s *session, room int, now time.Time) (picked []int) {
	for o := range p.sessions {
		if o == s || !o.stalled(now) {
			continue
		}
		for _, e := range o.expected {
			if c := &p.slots[e.slot]; !e.dropped && c.owners[0] == o && c.owners[1] == nil && s.holds(e.slot) &&
				room > 0 && p.doubled+len(picked) < maxDoubled {
				picked = append(picked, e.slot)
				room -= int(c.bytes)
			}
		}
	}
	return picked
}

// stored notes that a chunk is in the store; another owner is told to stop.
func (p *plan) stored(s *session, i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.slots[i]
	if !c.missing {
		return
	}
	c.missing = false
	p.partBytes -= len(p.parts[i])
	delete(p.parts, i)
	p.left--
	for o := range p.sessions {
		if o.holds(i) {
			o.useful--
		}
	}
	p.progress.StoredBytes += uint64(c.bytes)
	for _, o := range c.owners {
		if o != nil && o != s {
			o.drop(i)
		}
	}
	if c.owners[1] != nil {
		p.doubled--
	}
	c.owners = [2]*session{}
	if p.left == 0 {
		close(p.done)
	}
}

// wanted says whether a slot is still missing; if not, n bytes came in vain.
func (p *plan) wanted(i, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.slots[i].missing {
		p.progress.DuplicateBytes += uint64(n)
	}
	return p.slots[i].missing
}

// retire ends a session whose peer holds nothing, so that another peer can be
// asked.
func (p *plan) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for s := range p.sessions {
		if s.greeted && s.count == 0 && now.Sub(s.sent) > s.pace.rescan {
			_ = s.conn.stream.Reset()
			return
		}
	}
}

// snapshot returns the progress now.
func (p *plan) snapshot() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress.Holders = 0
	for s := range p.sessions {
		if s.useful > 0 {
			p.progress.Holders++
		}
	}
	return p.progress
}
