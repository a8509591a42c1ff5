package gossip

import (
	"bytes"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// maxRemembered bounds how many peers' last sessions are remembered.
const maxRemembered = 1024

// memory knows which two vectors have been reconciled with a peer, so that two
// nodes with different pins, which are never equal, are done in one round trip
// as well while nothing has changed on either side. It is a hint: whoever has
// forgotten goes on, and the other one follows.
type memory struct {
	mu    sync.Mutex
	peers map[peer.ID]reconciled // guarded by mu; at most maxRemembered
}

type reconciled struct{ ours, theirs []byte }

func newMemory() *memory { return &memory{peers: make(map[peer.ID]reconciled)} }

// settled says whether these two vectors need no session with p.
func (m *memory) settled(p peer.ID, ours, theirs []byte) bool {
	if bytes.Equal(ours, theirs) {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.peers[p]
	return ok && bytes.Equal(r.ours, ours) && bytes.Equal(r.theirs, theirs)
}

// remember notes that a session over these two vectors went through and left
// ours as it was.
func (m *memory) remember(p peer.ID, ours, theirs []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.peers[p]; !known && len(m.peers) >= maxRemembered {
		for other := range m.peers { // any
			delete(m.peers, other)
			break
		}
	}
	m.peers[p] = reconciled{ours: ours, theirs: theirs}
}
