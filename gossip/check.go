package gossip

import (
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/trust"
)

// After a change each peer is asked, by an ordinary session, whether it has
// heard, since the topic is lossy.
const (
	// checkHeartbeats is how many heartbeats of the topic after a change the
	// peers in the topic mesh are asked whether it has reached them.
	checkHeartbeats = 4
	minCheck        = 5 * time.Second
	// checkOutside is how long after a change all other peers are asked: nothing
	// is sent to them on dear links, and the topic mesh takes a new peer in at
	// its next heartbeat only.
	checkOutside = 2 * time.Second
)

// seen returns a mark of now for met: take it before the state is read.
func (m *meetings) seen() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// changed moves the sessions with everybody forward, so that whoever has missed
// a change of this node hears of it soon; except with those who know the new
// heads: who has told them or been told, and, if anybody, from, who has given them.
func (m *meetings) changed(from peer.ID, heads ...trust.Head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for _, head := range heads {
		if id, err := idOf(head); err == nil { // what is held can be encoded
			m.newest[head.Publisher] = id
		}
	}
	for p, meeting := range m.peers {
		if p == from {
			continue // its pending, if any, are of earlier changes
		}
		for _, head := range heads {
			if meeting.told[head.Publisher] != m.newest[head.Publisher] {
				meeting.pending[head.Publisher] = m.changes
			}
		}
		if len(meeting.pending) > 0 {
			m.hasten(p, meeting)
		}
	}
	m.poke()
}

// told notes that p has told a head or been told it, so p holds what is behind
// it, or learns it.
func (m *meetings) told(p peer.ID, publisher trust.Fingerprint, id headID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	meeting := m.peers[p]
	if meeting == nil {
		return
	}
	if _, known := meeting.told[publisher]; !known && len(meeting.told) >= maxTold {
		for other := range meeting.told { // any
			delete(meeting.told, other)
			break
		}
	}
	if meeting.told[publisher] = id; m.newest[publisher] == id {
		m.settled(meeting, publisher)
	}
}

// doubt forgets what p was told, since some of it may have been lost with the
// stream. m.mu is held.
func (m *meetings) doubt(p peer.ID) {
	meeting := m.peers[p]
	if meeting == nil || len(meeting.told) == 0 {
		return
	}
	for publisher := range meeting.told {
		meeting.pending[publisher] = m.changes
	}
	clear(meeting.told)
	m.hasten(p, meeting)
	m.poke()
}

// hasten moves the next session with p forward to the check of a change. m.mu is
// held.
func (m *meetings) hasten(p peer.ID, meeting *meeting) {
	if due := m.check(p, meeting); due.Before(meeting.due) {
		meeting.due = due
	}
}

// settled notes that the peer of meeting needs no check about publisher. m.mu is
// held.
func (m *meetings) settled(meeting *meeting, publisher trust.Fingerprint) {
	if _, ok := meeting.pending[publisher]; !ok {
		return
	}
	if delete(meeting.pending, publisher); len(meeting.pending) == 0 && meeting.failures == 0 {
		meeting.due = meeting.regular
		m.poke()
	}
}

// took notes that p has taken what was held of publisher at the mark seen, so
// that no check is needed for that.
func (m *meetings) took(p peer.ID, publisher trust.Fingerprint, seen uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if meeting := m.peers[p]; meeting != nil && meeting.pending[publisher] <= seen {
		m.settled(meeting, publisher)
	}
}

// check returns when to ask p whether a change has reached it. The node that
// may begin goes first, and mostly spares the other one its turn. m.mu is held.
func (m *meetings) check(p peer.ID, meeting *meeting) time.Time {
	pause := checkOutside
	// Who joined the topic mesh a moment ago may have missed what passed before.
	if joined, inside := m.mesh[p]; inside && time.Since(joined) > minCheck {
		pause = max(minCheck, checkHeartbeats*m.params.heartbeat)
	}
	due := time.Now().Add(parley.Jitter(pause))
	if !meeting.begins {
		due = due.Add(pause)
	}
	return due
}

// follow keeps account of who is in the topic mesh.
func (m *meetings) follow(e *pb.TraceEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.GetType() {
	case pb.TraceEvent_GRAFT:
		m.mesh[peer.ID(e.GetGraft().GetPeerID())] = time.Now()
	case pb.TraceEvent_PRUNE:
		delete(m.mesh, peer.ID(e.GetPrune().GetPeerID()))
	case pb.TraceEvent_ON_CLOSED_OUTBOUND_STREAM:
		p := peer.ID(e.GetOnClosedOutboundStream().GetPeerID())
		delete(m.mesh, p)
		m.doubt(p)
	}
}
