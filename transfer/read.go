package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
)

// read takes what the peer sends until the stream ends.
func (s *session) read(ctx context.Context, arrivals chan<- arrival) error {
	for first := true; ; first = false {
		m, err := s.conn.receive(0)
		if errors.Is(err, io.EOF) {
			return errClosed
		}
		if err != nil {
			return err
		}
		switch {
		case first && m.Hello != nil:
			s.greet()
		case first || m.Hello != nil:
			return fmt.Errorf("%w: hello must come first and once", ErrProtocol)
		case m.Have != nil:
			if !s.plan.held(s, int(m.Have.File), m.Have.Chunks) {
				return fmt.Errorf("%w: have of chunks up to %d of file %d, which has fewer", ErrProtocol, m.Have.Chunks.End(), m.Have.File)
			}
			s.poke()
		case m.Coming != nil:
			if !s.plan.claimed(s, m.Coming, time.Now()) {
				return fmt.Errorf("%w: claim of chunks up to %d of file %d, which has fewer", ErrProtocol, m.Coming.Chunks.End(), m.Coming.File)
			}
		case m.Frame != nil:
			if err := s.frame(ctx, m.Frame, arrivals); err != nil {
				return err
			}
		case m.Fault != nil:
			if err := s.fault(m.Fault); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: message that only a client sends", ErrProtocol)
		}
	}
}

// errClosed says that the peer ended the session in order.
var errClosed = errors.New("peer closed the session")

func (s *session) greet() {
	s.plan.mu.Lock()
	defer s.plan.mu.Unlock()
	now := time.Now()
	s.greeted, s.progressed, s.since = true, now, 0
	s.window.sample(now.Sub(s.sent))
}

// expect returns the chunk's slot and length if it is what must come next.
func (s *session) expect(file, chunk uint32) (slot, length int, err error) {
	s.plan.mu.Lock()
	defer s.plan.mu.Unlock()
	if int(file) < len(s.plan.files) && int(chunk) < s.plan.files[file].chunks.Len() {
		slot = s.plan.files[file].base + int(chunk)
		for len(s.expected) > 0 && s.expected[0].dropped && s.expected[0].slot != slot {
			s.expected = s.expected[1:] // cancelled in time
		}
		if len(s.expected) > 0 && s.expected[0].slot == slot {
			return slot, int(s.plan.slots[slot].bytes), nil
		}
	}
	return 0, 0, fmt.Errorf("%w: chunk %d of file %d was not to come now", ErrProtocol, chunk, file)
}

// frame reads a frame and hands it on.
func (s *session) frame(ctx context.Context, f *piece, arrivals chan<- arrival) error {
	slot, length, err := s.expect(f.File, f.Chunk)
	if err != nil {
		return err
	}
	part := s.part(slot)
	if int(f.From)+int(f.Bytes) > length+codec.MaxHeaderBytes || f.From > 0 && int(f.From) != len(part) {
		return fmt.Errorf("%w: frame of %d bytes from %d on for a chunk of %d", ErrProtocol, f.Bytes, f.From, length)
	}
	buf := s.t.buffers.get(int(f.From) + int(f.Bytes))
	got := copy((*buf)[:f.From], part)
	err = s.conn.payload((*buf)[got:], func(n int) {
		got += n
		s.progress(n)
	})
	if err != nil {
		s.plan.cutOff(slot, (*buf)[:got])
		s.t.buffers.put(buf)
		return err
	}
	e, ok := s.arrived(int(f.Bytes))
	if !ok {
		s.t.buffers.put(buf)
		return nil
	}
	select {
	case arrivals <- arrival{e, buf}:
	case <-ctx.Done():
		s.settle(arrival{e, buf})
		return context.Cause(ctx)
	}
	s.plan.mu.Lock()
	s.busy, s.progressed, s.since = false, time.Now(), 0
	s.plan.mu.Unlock()
	return nil
}

// progress notes n bytes of the first chunk expected.
func (s *session) progress(n int) {
	s.plan.mu.Lock()
	defer s.plan.mu.Unlock()
	if s.since += n; s.since >= progressBytes {
		s.progressed, s.since = time.Now(), 0
	}
	if s.outside {
		s.plan.outsideBytes += uint64(n)
	}
	if e := &s.expected[0]; !e.dropped {
		s.partial = min(s.partial+n, int(s.plan.slots[e.slot].bytes))
	}
}

// arrived takes the first chunk expected out of the list, for the store; false
// if it is not wanted any more.
func (s *session) arrived(n int) (expected, bool) {
	s.plan.mu.Lock()
	defer s.plan.mu.Unlock()
	now := time.Now()
	e := s.expected[0]
	s.expected = s.expected[1:]
	s.plan.progress.FrameBytes += uint64(n)
	s.completed, s.progressed, s.since, s.partial = now, now, 0, 0
	s.window.sample(now.Sub(e.at))
	size := int(s.plan.slots[e.slot].bytes)
	if !e.dropped {
		s.asked -= size
	}
	s.window.received(size, now, len(s.expected) == 0)
	s.t.peers.delivered(s.peer, s.window.rate, s.window.rtt)
	s.poke()
	if e.dropped {
		s.plan.progress.DuplicateBytes += uint64(n)
		s.t.totals.duplicate.Add(uint64(n))
		return e, false
	}
	s.storing++
	s.busy = true
	return e, true
}

// fault takes a refusal: of chunks, which are then asked of others, or of the
// session.
func (s *session) fault(f *faultAt) error {
	if len(f.Chunks) == 0 {
		switch f.Code {
		case faultBusy:
			return &busyError{min(max(time.Duration(f.Retry)*time.Second, time.Second), 10*time.Minute)}
		case faultMalformed:
			s.t.cfg.Logger.Warn("peer says that this node broke the protocol", slog.Any("peer", s.peer.id), slog.Any("text", f.Text))
		}
		return fmt.Errorf("peer ended the session: %.32q", f.Code)
	}
	if f.Chunks.Count() > maxAsked {
		return fmt.Errorf("%w: refusal of %d chunks, %d at most are asked for", ErrProtocol, f.Chunks.Count(), maxAsked)
	}
	for chunk := range f.Chunks.All() {
		slot, length, err := s.expect(f.File, uint32(chunk))
		if err != nil {
			return err
		}
		s.plan.refused(s, slot, length)
	}
	return nil
}

// refused notes that the peer does not give the first chunk expected.
func (p *plan) refused(s *session, slot, length int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := s.expected[0]
	s.expected = s.expected[1:]
	s.progressed, s.since, s.partial = time.Now(), 0, 0
	p.lost(s, slot)
	if !e.dropped {
		s.asked -= length
		p.disown(slot, s)
		p.free(e)
	}
	s.window.received(0, s.progressed, len(s.expected) == 0)
	for o := range p.sessions {
		o.poke()
	}
}
