package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/errgroup"
)

// Pace of the contacts protocol.
const (
	contactsTimeout = 2 * time.Minute // of one exchange, at 9.6 kbit/s
	tellParallel    = 4
	needyBelow      = 2 // contacts outside besides a peer: fewer, and it is needed
	byeWait         = time.Hour
	mailBurst       = 8 // messages of a peer at once, and one more each mailPause
	mailPause       = 10 * time.Second
	prompt          = time.Second      // for what belongs together
	firstTelling    = 10 * time.Second // from the first exchange to the next, and four times that from then on
)

// telling returns how long, after the first few times, peers outside wait at
// least for what has changed.
func (p Preset) telling() time.Duration {
	switch p {
	case WAN:
		return 5 * time.Minute
	case Narrow:
		return time.Hour
	case Satellite:
		return 4 * time.Hour
	default:
		return 10 * time.Second
	}
}

// contacts knows the connected peers and what was said to them: on a new
// connection the side that dialled tells of others that it is connected to and
// that keep contact for their sites, and is told; later only what is new, seldom.
// Safe for concurrent use.
type contacts struct {
	f    *finder
	wake chan struct{} // buffered

	mu    sync.Mutex // owns the rest
	peers map[peer.ID]*met
}

// met is a connected peer. It lives as long as the peer is connected.
type met struct {
	label    string
	speaks   bool   // the contacts protocol
	record   []byte // as it signed it, within bounds
	seq      uint64
	apparent bool // the record names an address at which it was seen, so that others may reach it
	card     *card
	told     map[peer.ID]uint64 // sequence of the records that it was told
	said     card               // without Known
	greeted  bool               // there was an exchange
	begins   bool               // this node dialled
	busy     bool               // an exchange is under way
	next     time.Time          // no exchange before
	pause    time.Duration      // after the last exchange
	mail     ration
}

func newContacts(f *finder) *contacts {
	return &contacts{f: f, wake: make(chan struct{}, 1), peers: make(map[peer.ID]*met)}
}

// run answers and tells until ctx ends.
func (c *contacts) run(ctx context.Context) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	c.f.host.SetStreamHandler(contactsProtocol, func(s network.Stream) {
		handlers.Add(1)
		defer handlers.Done()
		c.answer(s)
	})
	defer c.f.host.RemoveStreamHandler(contactsProtocol)
	var tells errgroup.Group
	tells.SetLimit(tellParallel)
	for {
		ready, next := c.due(time.Now())
		for _, id := range ready {
			tells.Go(func() error { c.exchange(ctx, id); return nil })
		}
		timer := time.NewTimer(max(time.Until(next), prompt))
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(tells.Wait(), ctx.Err())
		case <-c.wake:
			// What comes together is told together.
			pause := time.NewTimer(prompt / 4)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
		case <-timer.C:
		}
		timer.Stop()
	}
}

// identified notes what a peer said of itself.
func (c *contacts) identified(e event.EvtPeerIdentificationCompleted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[e.Peer]
	if p == nil {
		p = &met{
			told: make(map[peer.ID]uint64), begins: e.Conn.Stat().Direction == network.DirOutbound,
			mail: ration{left: mailBurst, most: mailBurst, each: mailPause},
		}
		c.peers[e.Peer] = p
	}
	p.label = shownLabel(e.AgentVersion)
	p.speaks = p.speaks || slices.Contains(e.Protocols, contactsProtocol)
	if e.SignedPeerRecord != nil {
		if data, err := e.SignedPeerRecord.Marshal(); err == nil && len(data) <= maxRecordBytes {
			if t, err := openRecord(signedPeer{Record: data}, true); err == nil && t.id == e.Peer {
				p.record, p.seq = data, t.seq
				p.apparent = e.Conn.Stat().Direction == network.DirOutbound || seenAt(t.addrs, e.Conn.RemoteMultiaddr())
			}
		}
	}
	signal(c.wake)
}

// seenAt says whether one of the addresses has the IP address of a, or leads
// through a relay.
func seenAt(addrs []multiaddr.Multiaddr, a multiaddr.Multiaddr) bool {
	seen, err := manet.ToIP(a)
	return slices.ContainsFunc(addrs, func(a multiaddr.Multiaddr) bool {
		if relayed(a) {
			return true
		}
		ip, errIP := manet.ToIP(a)
		return err == nil && errIP == nil && ip.Equal(seen)
	})
}

func (c *contacts) left(id peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.peers, id)
	signal(c.wake)
}

// retry has a peer told soon that could not be told for a while.
func (c *contacts) retry(id peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil && !p.busy {
		p.next, p.pause = time.Time{}, 0
	}
	signal(c.wake)
}

// changed has peers told how this node stands now.
func (c *contacts) changed() { signal(c.wake) }

// view lists the connected peers.
func (c *contacts) view() []contact {
	net := c.f.host.Network()
	named := make(map[peer.ID]bool, len(c.f.bootstrap))
	for _, b := range c.f.bootstrap {
		named[b.ID] = true
	}
	var list []contact
	for _, id := range net.Peers() {
		conns := net.ConnsToPeer(id)
		if len(conns) == 0 {
			continue
		}
		out := contact{id: id, named: named[id] || c.f.relays.uses(id), since: conns[0].Stat().Opened}
		for _, conn := range conns {
			out.local = out.local || c.f.site.Local(conn)
			out.dialled = out.dialled || conn.Stat().Direction == network.DirOutbound
			out.busy = out.busy || transfers(conn)
			out.since = earlier(out.since, conn.Stat().Opened)
		}
		c.mu.Lock()
		var label string
		if p := c.peers[id]; p != nil {
			label = p.label
			out.needy = p.card != nil && p.card.Needy
		}
		c.mu.Unlock()
		out.site = remoteSite(label, ipOf(conns[0].RemoteMultiaddr()), id)
		list = append(list, out)
	}
	return list
}

// transfers says whether a transfer runs on the connection.
func transfers(c network.Conn) bool {
	return slices.ContainsFunc(c.GetStreams(), func(s network.Stream) bool {
		return strings.HasPrefix(string(s.Protocol()), "/dunlin/transfer/") || strings.HasPrefix(string(s.Protocol()), "/dunlin/delta/")
	})
}

// due returns whom to exchange cards with now, marked busy, and when to look
// again.
func (c *contacts) due(now time.Time) (ready []peer.ID, next time.Time) {
	connected := c.f.connected()
	c.mu.Lock()
	defer c.mu.Unlock()
	next = now.Add(c.f.preset.telling())
	for _, v := range connected {
		p := c.peers[v.id]
		switch {
		case p == nil || !p.speaks || p.busy || (!p.greeted && !p.begins):
			continue
		case p.greeted && p.said.sameStanding(c.standing(v, connected)) && len(c.news(p, v, connected)) == 0:
			continue
		case now.Before(p.next):
			next = earlier(next, p.next)
			continue
		}
		p.busy = true
		ready = append(ready, v.id)
	}
	return ready, next
}

func (k card) sameStanding(as card) bool { return k.Gateway == as.Gateway && k.Needy == as.Needy }

// standing returns the card for a peer, without Known.
func (c *contacts) standing(to contact, connected []contact) card {
	gateway, _ := c.f.site.Gateway()
	others := count(connected, true)
	if !to.local {
		others--
	}
	return card{Gateway: gateway, Needy: gateway && others < needyBelow}
}

// news returns whom to tell a peer of, at most maxRecords: gateways of other
// sites than its own. Once it was told of some, it hears of more if it needs
// them. Callers hold mu.
func (c *contacts) news(p *met, to contact, connected []contact) (list []peer.ID) {
	if p.greeted && p.card != nil && !p.card.Needy && !to.local {
		return nil
	}
	var near []peer.ID
	for _, v := range connected {
		of := c.peers[v.id]
		switch {
		case v.id == to.id || of == nil || of.record == nil || !of.apparent || of.card == nil || !of.card.Gateway:
		case p.told[v.id] == of.seq:
		case v.local && to.local, !v.local && !to.local && v.site == to.site:
		case v.local:
			near = append(near, v.id)
		default:
			list = append(list, v.id)
		}
	}
	// Not everybody hears of the same ones first.
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = append(near[:min(len(near), maxPerSite)], list...)
	return list[:min(len(list), maxRecords)]
}

// compose makes the card for a peer and notes that it was told.
func (c *contacts) compose(id peer.ID) *card {
	connected := c.f.connected()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	at := slices.IndexFunc(connected, func(v contact) bool { return v.id == id })
	if p == nil || at < 0 {
		return &card{}
	}
	out := c.standing(connected[at], connected)
	p.said = out
	for _, of := range c.news(p, connected[at], connected) {
		if c.f.discreet {
			break
		}
		out.Known = append(out.Known, signedPeer{Site: c.peers[of].label, Record: c.peers[of].record})
		p.told[of] = c.peers[of].seq
	}
	for of := range p.told {
		if c.peers[of] == nil {
			delete(p.told, of) // so that it is bounded by connections
		}
	}
	return &out
}
