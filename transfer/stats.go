package transfer

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Stats are figures since New, for metrics. Bytes are those on the stream:
// messages and frames, before encryption.
type Stats struct {
	BytesReceived  uint64 // from peers, on sessions of either kind
	BytesSent      uint64 // to peers, on sessions of either kind
	ChunksReceived uint64 // verified and stored
	ChunksSent     uint64
	BlocksReceived uint64 // verified and stored
	BlocksSent     uint64
	DuplicateBytes uint64 // frame bytes of chunks that were here already
	BadPeers       uint64 // times that a peer was dropped for what it did
	Serving        int    // sessions that peers have open here
	Fetching       int    // sessions open at peers
	Deltas         DeltaStats
	Peers          []PeerStats
}

// DeltaStats are figures about deltas since New.
type DeltaStats struct {
	BytesReceived uint64 // of deltas, from peers
	BytesSent     uint64 // of deltas, to peers
	Coded         uint64 // deltas made here, to their end
	CacheBytes    int64  // of disk, that deltas and parts of them take now
}

// PeerState says how a peer stands.
type PeerState string

// The states of a peer.
const (
	PeerOK     PeerState = "ok"
	PeerParole PeerState = "parole" // sent bad bytes or stalled: left alone until PeerStats.Until
)

// PeerStats are figures about one peer since it was first met.
type PeerStats struct {
	Peer           peer.ID
	State          PeerState
	Until          time.Time // end of the parole
	Link           Link      // class as last seen, empty if never connected to
	BytesReceived  uint64
	BytesSent      uint64
	BytesPerSecond float64       // what it last delivered, while asked
	RTT            time.Duration // shortest answer seen
}

// Progress says how far a fetch is. Bytes are of the files, not of frames,
// unless named otherwise.
type Progress struct {
	WantedBytes    uint64 // missing when the fetch began
	StoredBytes    uint64 // of those, verified and given to the store
	FrameBytes     uint64 // received on the wire for them, duplicates included
	DuplicateBytes uint64 // of FrameBytes, for chunks that were here already
	Peers          int    // sessions open now
	Holders        int    // of those, peers that hold chunks that are missing here
}
