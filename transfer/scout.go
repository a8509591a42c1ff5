package transfer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// protocolsAgain is how often it is looked up, on this machine, whether a
// connected peer has come to speak the protocol.
const protocolsAgain = time.Second

// busyError says that a peer has no room for a session now.
type busyError struct{ retry time.Duration }

func (e *busyError) Error() string {
	return fmt.Sprintf("peer is busy, asks to come back after %s", e.retry)
}

// scout finds peers to ask: those connected that are not on parole and did not
// fail a moment ago. A peer that connects anew is asked at once.
type scout struct {
	t        *Transfer
	protocol protocol.ID   // that the peers must speak
	use      Use           // for which their links must be open
	wake     chan struct{} // capacity 1: a peer connected, or one ended

	mu      sync.Mutex
	pauses  map[peer.ID]pause
	notifee *network.NotifyBundle
	allowed func(peer.ID) bool // nil for everybody; of the goroutine that calls ready
}

type pause struct {
	until time.Time
	times int
}

func newScout(t *Transfer, id protocol.ID, use Use) *scout {
	s := &scout{t: t, protocol: id, use: use, wake: make(chan struct{}, 1), pauses: map[peer.ID]pause{}}
	s.notifee = &network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		s.mu.Lock()
		delete(s.pauses, c.RemotePeer())
		s.mu.Unlock()
		s.poke()
	}}
	t.cfg.Host.Network().Notify(s.notifee)
	return s
}

// allow makes ready leave out peers of which may says no.
func (s *scout) allow(may func(peer.ID) bool) { s.allowed = may }

func (s *scout) close() { s.t.cfg.Host.Network().StopNotify(s.notifee) }

func (s *scout) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ready returns the peers to ask now, best first, leaving out those in use, and
// when to look again at the latest (zero: when poked).
func (s *scout) ready(inUse func(peer.ID) bool) (ready []peer.ID, again time.Time) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.t.cfg.Host.Network().Peers() {
		if inUse(id) || s.allowed != nil && !s.allowed(id) {
			continue
		}
		until := s.t.peers.pausedUntil(id)
		if p := s.pauses[id].until; p.After(until) {
			until = p
		}
		if !s.speaks(id) && until.Before(now.Add(protocolsAgain)) {
			until = now.Add(protocolsAgain)
		}
		if until.Before(now.Add(pathsAgain)) && s.t.closedTo(id, s.use) {
			until = now.Add(pathsAgain)
		}
		switch {
		case !until.After(now):
			ready = append(ready, id)
		case again.IsZero() || until.Before(again):
			again = until
		}
	}
	slices.SortFunc(ready, func(a, b peer.ID) int {
		rateA, rttA := s.t.peers.speed(a)
		rateB, rttB := s.t.peers.speed(b)
		return cmp.Or(cmp.Compare(rateB, rateA), cmp.Compare(rttA, rttB), cmp.Compare(a, b))
	})
	return ready, again
}

// speaks says whether the peer may speak the protocol: identify has said so, or
// has said nothing yet.
func (s *scout) speaks(id peer.ID) bool {
	book := s.t.cfg.Host.Peerstore()
	if known, err := book.GetProtocols(id); err != nil || len(known) == 0 {
		return true
	}
	common, err := book.SupportsProtocols(id, s.protocol)
	return err == nil && len(common) > 0
}

// again lets the peer be asked at once.
func (s *scout) again(id peer.ID) {
	s.mu.Lock()
	delete(s.pauses, id)
	s.mu.Unlock()
	s.poke()
}

// ended notes that a session at the peer came to its end, well or not.
func (s *scout) ended(id peer.ID, why error, link Link) {
	s.mu.Lock()
	p := s.pauses[id]
	d := grown(link.pace().rescan, p.times, 16*link.pace().rescan)
	if busy, ok := errors.AsType[*busyError](why); ok {
		d = busy.retry
	}
	s.pauses[id] = pause{until: time.Now().Add(d), times: p.times + 1}
	s.mu.Unlock()
	s.poke()
}
