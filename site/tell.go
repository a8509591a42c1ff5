package site

import (
	"bytes"
	"slices"
	"time"
)

// Paces of what is told.
const (
	coalesce       = 20 * time.Millisecond // changes are gathered for so long
	tellInterval   = 50 * time.Millisecond // and told so often at most
	growthInterval = time.Second           // that bytes came is told so often at most
	lookShare      = 10                    // or this many times as long as looking takes
	listenInterval = 5 * time.Millisecond  // what others say is gathered for so long
)

// tell plans to tell the members what has changed. It holds mu.
func (s *Site) tell(at time.Time) {
	if s.tellAt.IsZero() || at.Before(s.tellAt) {
		s.tellAt = at
		s.poke()
	}
}

func (s *Site) poke() {
	select {
	case s.wakeUp <- struct{}{}:
	default:
	}
}

// changed says whether what was told is no longer so, bytes apart that only grew.
func (s *Site) changed() bool {
	t := s.told
	if t.Outside != s.contact || t.Gateway != s.gatewaySince || t.More != s.morePins || !slices.EqualFunc(t.Pins, s.pins, bytes.Equal) {
		return true
	}
	if len(t.Errands) != min(len(s.queue), MaxErrands) {
		return true
	}
	for _, st := range t.Errands {
		e := s.errands[st.Release]
		if e == nil || !e.listed || st.Outside != e.own.outside || st.Stalls != e.own.lapses || (st.Bytes == 0) != (e.own.bytes == 0) {
			return true
		}
	}
	return false
}

// publish makes what this node is and does the message that members get. It
// holds mu, or nobody else knows s.
func (s *Site) publish(now time.Time) error {
	s.tellAt = time.Time{}
	next := &state{Outside: s.contact, Gateway: s.gatewaySince, Pins: s.pins, More: s.morePins}
	for _, e := range s.queue[:min(len(s.queue), MaxErrands)] {
		next.Errands = append(next.Errands, stance{Release: e.release, Outside: e.own.outside, Bytes: e.own.bytes, Stalls: e.own.lapses})
	}
	slices.SortFunc(next.Errands, compareReleases)
	message, err := encode(&message{State: next})
	if err != nil {
		return err
	}
	if bytes.Equal(message, s.telling) {
		return nil
	}
	s.told, s.telling, s.toldAt = next, message, now
	close(s.news)
	s.news = make(chan struct{})
	return nil
}

func compareReleases(a, b stance) int { return bytes.Compare(a.Release.Bytes(), b.Release.Bytes()) }
