package gossip

import (
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
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
// a change of this node hears of it soon; except with whoever it came from, if
// anybody.
func (m *meetings) changed(from peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for p, meeting := range m.peers {
		if p == from {
			continue
		}
		meeting.changed = m.changes
		if due := m.check(p, meeting); due.Before(meeting.due) {
			meeting.due = due
		}
	}
	m.poke()
}

// check returns when to ask p whether a change has reached it. The node that
// may begin goes first, and mostly spares the other one its turn. m.mu is held.
func (m *meetings) check(p peer.ID, meeting *meeting) time.Time {
	pause := checkOutside
	// Who joined the topic mesh a moment ago may have missed what passed before.
	if joined, inside := m.mesh[p]; inside && time.Since(joined) > minCheck {
		pause = max(minCheck, checkHeartbeats*m.params.heartbeat)
	}
	due := time.Now().Add(jitter(pause))
	if !meeting.begins {
		due = due.Add(pause)
	}
	return due
}

// Trace follows who is in the topic mesh. It is called by pubsub.
func (m *meetings) Trace(e *pb.TraceEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.GetType() {
	case pb.TraceEvent_GRAFT:
		m.mesh[peer.ID(e.GetGraft().GetPeerID())] = time.Now()
	case pb.TraceEvent_PRUNE:
		delete(m.mesh, peer.ID(e.GetPrune().GetPeerID()))
	case pb.TraceEvent_ON_CLOSED_OUTBOUND_STREAM:
		delete(m.mesh, peer.ID(e.GetOnClosedOutboundStream().GetPeerID()))
	}
}
