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
