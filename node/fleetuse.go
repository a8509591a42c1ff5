package node

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/fleet"
)

// use tells what crossed the site's border from what did not. Bytes are counted
// by peer and outlive connections, so it remembers who was near. Safe for
// concurrent use.
type use struct {
	mu     sync.Mutex
	inside map[peer.ID]bool // guarded by mu; of peers that were connected at a look
}

// links adds up what every peer has sent and taken. near says of the peers that
// are connected now whether they are members of the site. A peer that no look
// has met counts as outside.
func (u *use) links(all map[peer.ID]metrics.Stats, near map[peer.ID]bool) fleet.Links {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := make(map[peer.ID]bool, len(all))
	var out fleet.Links
	for p, stats := range all {
		inside, connected := near[p]
		if !connected {
			inside = u.inside[p]
		}
		now[p] = inside
		in, sent := uint64(max(stats.TotalIn, 0)), uint64(max(stats.TotalOut, 0))
		if inside {
			out.InsideIn, out.InsideOut = out.InsideIn+in, out.InsideOut+sent
		} else {
			out.OutsideIn, out.OutsideOut = out.OutsideIn+in, out.OutsideOut+sent
		}
	}
	u.inside = now
	return out
}

// membersSeen says of each connected peer whether it is a member of the site.
func (o *online) membersSeen() map[peer.ID]bool {
	near := make(map[peer.ID]bool)
	for _, c := range o.host.Network().Conns() {
		near[c.RemotePeer()] = near[c.RemotePeer()] || o.site.Local(c)
	}
	return near
}
