package node

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/multiformats/go-multiaddr"

	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/transfer"
)

const (
	// tollEvery is how long what passes is gathered before links are charged.
	tollEvery = 200 * time.Millisecond
	// packetGap is how close together bytes travel in one packet.
	packetGap = 10 * time.Millisecond
	// unknownFor is how long a connected peer that has not said who it is, and so
	// to which site it belongs, may keep its toll.
	unknownFor = 10 * time.Second
)

// toll counts what libp2p moves on streams, and charges the operator's links with
// all of it that package transfer does not ask them for itself: gossip, sync, fleet,
// contacts, identify, relays, the negotiation of protocols.
//
//	a stream reads or writes:  add to the tally of the peer; nothing is locked
//	                           for long, allocated or written
//	200 ms later:              charge the link of the peer's connection
//
// Of a peer with several connections the dearest one is charged: libp2p does not
// say which one bytes went over. What goes through a circuit is counted once, on
// the link to the relay. Safe for concurrent use.
type toll struct {
	*metrics.BandwidthCounter // all bytes, for status and metrics

	start time.Time
	wake  chan struct{} // buffered: there is something to charge

	mu    sync.RWMutex
	peers map[peer.ID]*tally // guarded by mu; those connected, and those that left since the last charge
}

// tally is what passed to and from one peer and is not charged yet.
type tally struct {
	control [2]passing // down, up
	circuit [2]passing // on streams that carry circuits
	conns   atomic.Int64
	link    atomic.Pointer[links.Link] // that it was on the last time; nil for none with bounds
}

// passing is bytes in one direction.
type passing struct {
	bytes, packets atomic.Int64
	last           atomic.Int64 // when bytes passed, in nanoseconds since toll.start
}

func newToll() *toll {
	return &toll{
		BandwidthCounter: metrics.NewBandwidthCounter(), start: time.Now(), wake: make(chan struct{}, 1), peers: make(map[peer.ID]*tally),
	}
}

// LogRecvMessageStream implements metrics.Reporter.
func (t *toll) LogRecvMessageStream(n int64, id protocol.ID, p peer.ID) {
	t.BandwidthCounter.LogRecvMessageStream(n, id, p)
	t.note(n, id, p, links.Down)
}

// LogSentMessageStream implements metrics.Reporter.
func (t *toll) LogSentMessageStream(n int64, id protocol.ID, p peer.ID) {
	t.BandwidthCounter.LogSentMessageStream(n, id, p)
	t.note(n, id, p, links.Up)
}

func (t *toll) note(n int64, id protocol.ID, p peer.ID, d links.Direction) {
	if n <= 0 || id == transfer.ProtocolID || id == transfer.DeltaProtocolID {
		return
	}
	way := 0
	if d == links.Up {
		way = 1
	}
	t.with(p, func(k *tally) {
		if id == circuit.ProtoIDv2Hop || id == circuit.ProtoIDv2Stop {
			k.circuit[way].add(n, time.Since(t.start))
		} else {
			k.control[way].add(n, time.Since(t.start))
		}
	})
}

// with hands the tally of a peer to use, and has it charged soon. It is not taken
// away meanwhile.
func (t *toll) with(p peer.ID, use func(*tally)) {
	defer signal(t.wake)
	t.mu.RLock()
	k := t.peers[p]
	if k != nil {
		use(k)
	}
	t.mu.RUnlock()
	if k != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if k = t.peers[p]; k == nil {
		k = new(tally)
		t.peers[p] = k
	}
	use(k)
}

// add counts n bytes that pass now: in a new packet, unless the last ones passed
// just before.
func (p *passing) add(n int64, now time.Duration) {
	at := int64(now) + int64(time.Hour) // so that 0 is long ago
	if at-p.last.Swap(at) > int64(packetGap) {
		p.packets.Add(1)
	}
	p.bytes.Add(n)
}

// take returns what passed since the last time, the packets no fewer than the
// bytes need.
func (p *passing) take() (t links.Traffic) {
	t.Bytes = p.bytes.Swap(0)
	t.Packets = max(p.packets.Swap(0), links.Packets(t.Bytes))
	return t
}

// run charges the links of the host's connections until ctx ends, and once more
// then.
func (t *toll) run(ctx context.Context, h host.Host, path func(network.Conn) transfer.Path) error {
	watch := &network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			if !c.Stat().Limited {
				t.with(c.RemotePeer(), func(k *tally) { k.conns.Add(1) })
			}
		},
		DisconnectedF: func(_ network.Network, c network.Conn) {
			link := linkOf(path(c))
			t.with(c.RemotePeer(), func(k *tally) { k.link.Store(link) })
		},
	}
	h.Network().Notify(watch)
	for _, c := range h.Network().Conns() { // of before
		watch.ConnectedF(h.Network(), c)
	}
	defer h.Network().StopNotify(watch)
	for {
		select {
		case <-ctx.Done():
			t.charge(h, path, true)
			return ctx.Err()
		case <-t.wake:
		}
		pause := time.NewTimer(tollEvery)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
		if t.charge(h, path, false) {
			signal(t.wake)
		}
	}
}

// charge charges links with what passed, and forgets peers that left. It says
// whether some is put off, since it is not known yet who the peer is.
func (t *toll) charge(h host.Host, path func(network.Conn) transfer.Path, all bool) (later bool) {
	t.mu.RLock()
	ids := slices.Collect(maps.Keys(t.peers))
	t.mu.RUnlock()
	for _, id := range ids {
		conns := h.Network().ConnsToPeer(id)
		if !all && len(conns) > 0 && !known(h, id) && time.Since(conns[0].Stat().Opened) < unknownFor {
			later = true
			continue
		}
		t.mu.Lock()
		k := t.peers[id]
		if len(conns) == 0 {
			delete(t.peers, id)
		}
		t.mu.Unlock()
		if len(conns) > 0 {
			k.link.Store(dearest(conns, path))
		}
		k.charge(carries(h.Network().Conns(), id))
	}
	return later
}

// charge charges the link. Of a relay nothing is charged on its circuits if this
// node's own connections run in them: what passes there is counted as theirs.
func (k *tally) charge(carries bool) {
	link, conns := k.link.Load(), k.conns.Swap(0)
	for way, d := range []links.Direction{links.Down, links.Up} {
		passed, circuits := k.control[way].take(), k.circuit[way].take()
		if link == nil {
			continue
		}
		if !carries {
			passed.Bytes += circuits.Bytes
			passed.Packets += circuits.Packets
		}
		passed.Conns, conns = conns, 0
		link.Charge(passed, d)
	}
}

// known says whether a peer has said who it is.
func known(h host.Host, p peer.ID) bool {
	_, err := h.Peerstore().Get(p, "AgentVersion")
	return err == nil
}

// carries says whether one of the connections runs through the relay.
func carries(conns []network.Conn, relay peer.ID) bool {
	return slices.ContainsFunc(conns, func(c network.Conn) bool {
		if !c.Stat().Limited && !relayed(c.RemoteMultiaddr()) {
			return false
		}
		id, err := c.RemoteMultiaddr().ValueForProtocol(multiaddr.P_P2P)
		return err == nil && id == relay.String()
	})
}

// dearest returns the link of the dearest of some connections to a peer; nil if
// all of them are without bounds.
func dearest(conns []network.Conn, path func(network.Conn) transfer.Path) (best *links.Link) {
	rank := func(l *links.Link) (n int) {
		c := l.Config()
		if n = 2 * slices.Index(links.Classes(), c.Class); c.Metered {
			n++
		}
		return n
	}
	for _, c := range conns {
		if l := linkOf(path(c)); l != nil && (best == nil || rank(l) > rank(best)) {
			best = l
		}
	}
	return best
}

// linkOf returns the operator's link in a path; nil for none.
func linkOf(p transfer.Path) *links.Link {
	if m, ok := p.Meter.(meter); ok {
		return m.link
	}
	return nil
}
