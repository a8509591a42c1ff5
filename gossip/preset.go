package gossip

import (
	"fmt"
	"time"
)

// Preset fits gossip to the links between nodes. All four speak the same
// protocols and may be mixed in one mesh.
//
// What they cost, per connected peer, both directions, as bytes of streams with
// the negotiation of protocols and without the packets around them (measured by
// TestIdleCost and TestUpdateBudgetOfRegistry in virtual time; keep-alives of
// the transport and identify belong to the host):
//
//	                            lan    wan    narrow  satellite
//	heartbeat of the topic      1 s    2 s    10 s    30 s       sends nothing when idle
//	sessions every              5 min  15 min 1 h     2 h        ± a quarter, 114 bytes each
//	idle, bytes per hour        1400   470    120     60         of which the topic: 0
//	first contact, bytes        116 for the topic, 114 for a session if nothing differs
//	a release of one model      about 1420: head 489, update 860, negotiation
//
// There is no keep-alive: an idle topic and an idle sync protocol are silent.
// Announcements of others always go to the topic mesh only; with lan and wan a
// node sends its own to all its peers at once. With lan and wan, peers that are
// pruned from the topic mesh hear of others; on dear links that would cost more
// than the announcements.
type Preset string

// The presets, from cheap bytes to dear ones.
const (
	LAN       Preset = "lan"       // one site, bytes are free: seconds count
	WAN       Preset = "wan"       // the Internet, Mbit/s uplinks
	Narrow    Preset = "narrow"    // tens of kbit/s: radio, GSM, metered uplinks
	Satellite Preset = "satellite" // narrow and 600 ms or more away
)

// params is what a preset stands for. Degrees follow the rules of gossipsub
// (https://github.com/libp2p/specs/blob/master/pubsub/gossipsub/gossipsub-v1.1.md):
// low ≤ degree ≤ high, outbound < low, outbound < degree/2.
type params struct {
	heartbeat     time.Duration // pause between upkeeps of the topic mesh
	low           int           // fewer mesh peers than this: graft
	degree        int           // mesh peers aimed at
	high          int           // more mesh peers than this: prune
	outbound      int           // mesh peers that this node dialled, at least
	lazy          int           // other peers that hear of message ids at each heartbeat
	gossipFactor  float64       // or this part of them, if that is more
	history       int           // heartbeats for which a message can be asked for
	flood         bool          // own announcements go to all peers, not only to the topic mesh
	peerExchange  bool          // pruned peers hear of other peers
	syncInterval  time.Duration // pause between sessions with one peer, ± a quarter
	syncFallback  time.Duration // how long the peer with the higher ID waits for the other to begin
	turnTimeout   time.Duration // longest silence inside a session
	sessionBudget time.Duration // longest session
}

func (p Preset) params() (params, error) {
	switch p {
	case LAN:
		return params{
			heartbeat: time.Second, low: 5, degree: 6, high: 12, outbound: 2,
			lazy: 6, gossipFactor: 0.25, history: 6, flood: true, peerExchange: true,
			syncInterval: 5 * time.Minute, syncFallback: 5 * time.Second,
			turnTimeout: 15 * time.Second, sessionBudget: 2 * time.Minute,
		}, nil
	case WAN:
		return params{
			heartbeat: 2 * time.Second, low: 4, degree: 6, high: 10, outbound: 2,
			lazy: 4, gossipFactor: 0.25, history: 6, flood: true, peerExchange: true,
			syncInterval: 15 * time.Minute, syncFallback: 10 * time.Second,
			turnTimeout: 30 * time.Second, sessionBudget: 5 * time.Minute,
		}, nil
	case Narrow:
		return params{
			heartbeat: 10 * time.Second, low: 2, degree: 4, high: 6, outbound: 1,
			lazy: 2, gossipFactor: 0.1, history: 6, flood: false, peerExchange: false,
			syncInterval: time.Hour, syncFallback: 30 * time.Second,
			turnTimeout: 2 * time.Minute, sessionBudget: time.Hour,
		}, nil
	case Satellite:
		return params{
			heartbeat: 30 * time.Second, low: 2, degree: 4, high: 5, outbound: 1,
			lazy: 2, gossipFactor: 0.1, history: 6, flood: false, peerExchange: false,
			syncInterval: 2 * time.Hour, syncFallback: time.Minute,
			turnTimeout: 2 * time.Minute, sessionBudget: time.Hour,
		}, nil
	}
	return params{}, fmt.Errorf("%w: preset %.20q, want %s, %s, %s or %s", ErrConfig, string(p), LAN, WAN, Narrow, Satellite)
}
