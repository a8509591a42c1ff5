package transfer

import (
	"slices"
	"time"
)

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
