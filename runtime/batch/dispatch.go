package batch

import (
	"bytes"
	"slices"
	"time"
)

// dispatch gives free runs to who waits. The caller holds mu.
func (s *session) dispatch() {
	for s.running < s.cfg.Concurrency && len(s.queue) > 0 {
		members, prove := s.next()
		if len(members) == 0 {
			return // the timer will call again
		}
		if len(members) > 1 && !s.start(members, prove) {
			members = members[:1]
		}
		s.running++
		s.queue = slices.DeleteFunc(s.queue, func(r *request) bool { return slices.Contains(members, r) })
		for _, r := range members {
			close(r.turn)
		}
	}
}

// start runs a group in a goroutine, which Close joins; not if the copy of its
// inputs would take too many bytes. The caller holds mu.
func (s *session) start(members []*request, prove bool) bool {
	g := &group{members: members, copied: make(chan struct{})}
	for _, r := range members {
		g.bytes += totalBytes(r.inputs)
	}
	if !s.budget.take(g.bytes) {
		return false
	}
	for _, r := range members {
		r.group = g
	}
	s.proving = s.proving || prove
	s.groups.Go(func() {
		defer s.free()
		defer s.budget.give(g.bytes)
		if prove {
			s.prove(g)
		} else {
			s.runGroup(g)
		}
	})
	return true
}

// next returns who runs next: the oldest request, and those that go with it;
// nobody while the oldest may wait for others. prove tells that the group is a
// pair to be compared. The caller holds mu.
func (s *session) next() (members []*request, prove bool) {
	head := s.queue[0]
	alone := []*request{head}
	if s.verdict == never || head.rows < 1 || head.rows >= int64(s.cfg.MaxBatch) {
		return alone, false
	}
	if s.verdict == unproven {
		if s.proving {
			return alone, false
		}
		for _, r := range s.queue[1:] {
			if s.fits(head, r, head.rows) && differ(head, r) {
				return []*request{head, r}, true
			}
		}
		return alone, false
	}
	members, rows := alone, head.rows
	for _, r := range s.queue[1:] {
		if s.fits(head, r, rows) {
			members, rows = append(members, r), rows+r.rows
		}
	}
	if left := s.cfg.Delay - time.Since(head.arrived); left > 0 && rows < int64(s.cfg.MaxBatch) {
		s.wake(left)
		return nil, false
	}
	return members, false
}

// fits tells whether r can go into a run with head that has rows already.
func (s *session) fits(head, r *request, rows int64) bool {
	return r.rows > 0 && r.shape == head.shape && rows+r.rows <= int64(s.cfg.MaxBatch)
}

// wake has dispatch called after d, or earlier. The caller holds mu.
func (s *session) wake(d time.Duration) {
	if s.timer != nil {
		return
	}
	s.timer = time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.timer = nil
		s.dispatch()
	})
}

// differ tells whether the inputs of two requests are not all the same: two
// that are would agree whatever the model does with a batch.
func differ(x, y *request) bool {
	for name, t := range x.inputs {
		if !bytes.Equal(t.Data, y.inputs[name].Data) {
			return true
		}
	}
	return false
}
