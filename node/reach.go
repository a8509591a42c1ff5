package node

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/site"
)

// Who is connected to whom.
//
// Nodes of one site connect to each other, as many as there are up to maxNear.
// To the outside a site has few connections: its gateways, which the site chooses,
// dial and keep up to maxOutside, at most maxPerSite of them to one other site.
// Other nodes close what they have with the outside once the gateways have had
// time to find contact (handover), unless a transfer runs on it. A peer that has
// hardly any other contact is not sent away by a gateway that has enough, up to
// maxServed: a node that alone is reachable holds a mesh together.
const (
	maxNear    = 64
	maxOutside = 8
	maxServed  = 64
	maxPerSite = 2
	handover   = 30 * time.Second
	trimPause  = 10 * time.Second
	settling   = 10 * time.Second // from the start until the site has chosen its gateways: two contacts outside do
)

// premises is what this node's site says.
type premises interface {
	// Local says whether the connection stays inside the site.
	Local(network.Conn) bool
	// Gateway says whether this node is to keep contact with the outside, and
	// gives a channel that is closed at the next change.
	Gateway() (bool, <-chan struct{})
}

// contact is a connected peer.
type contact struct {
	id      peer.ID
	local   bool      // inside the site
	dialled bool      // by this node
	named   bool      // by the operator of this node, as bootstrap
	needy   bool      // said that it has hardly any other contact outside
	busy    bool      // with a transfer
	site    string    // of those outside: what they share maxPerSite by
	since   time.Time // of the oldest connection
}

func isConnected(contacts []contact, id peer.ID) bool {
	return slices.ContainsFunc(contacts, func(c contact) bool { return c.id == id })
}

// count returns how many contacts are outside, or inside.
func count(contacts []contact, outside bool) (n int) {
	for _, c := range contacts {
		if c.local != outside {
			n++
		}
	}
	return n
}

// remoteSite returns what nodes at one place have in common, seen from outside:
// the label, or else the network of the address that they are seen at (IPv4: /24,
// IPv6: /48, which is what a site is given by RFC 6177); without either the peer
// itself.
func remoteSite(label string, ip net.IP, id peer.ID) string {
	switch {
	case label != "":
		return "label " + label
	case ip == nil:
		return "peer " + id.String()
	case ip.To4() != nil:
		return ip.Mask(net.CIDRMask(24, 32)).String()
	default:
		return ip.Mask(net.CIDRMask(48, 128)).String()
	}
}

// shownLabel returns the label that a peer shows in what it calls itself, "" for
// none. It may claim any: that decides whose place it takes among the
// connections, never what is believed.
func shownLabel(agent string) string {
	label, _ := site.ParseAgent(agent)
	return label
}

// ipOf returns the IP address at which a peer is seen; nil behind a relay and
// for a name.
func ipOf(a multiaddr.Multiaddr) net.IP {
	ip, err := manet.ToIP(a)
	if err != nil || relayed(a) {
		return nil
	}
	return ip
}

// lane is what the redialler knows of peers nearby, or of those outside.
type lane struct {
	outside bool
	pace    pace
	wake    chan struct{} // buffered
	settled time.Time     // no more than two contacts outside before

	mu    sync.Mutex // owns the rest
	waits map[peer.ID]*backoff
	dials ration
	last  time.Time // of hurry
}

func newLane(p Preset, outside bool) *lane {
	l := &lane{outside: outside, pace: p.pace(), wake: make(chan struct{}, 1), waits: make(map[peer.ID]*backoff), settled: time.Now().Add(settling)}
	l.dials = l.pace.ration()
	return l
}

// hurry forgets all waits and looks again, at most every half minute.
func (l *lane) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.last.IsZero() || now.Sub(l.last) >= handover {
		l.last = now
		for _, w := range l.waits {
			*w = backoff{asked: w.asked}
		}
		l.dials = l.pace.ration()
		signal(l.wake)
	}
}

// leave lets a peer that asked for it alone for so long.
func (l *lane) leave(id peer.ID, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.waits[id]
	if w == nil {
		w = &backoff{}
		l.waits[id] = w
	}
	w.leave(time.Now(), wait)
}

// choose returns whom to dial now and when to look again.
func (f *finder) choose(l *lane, now time.Time, gateway bool, connected []contact) (batch []peer.AddrInfo, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = now.Add(l.pace.last)
	known := f.known()
	for id := range l.waits {
		if !slices.ContainsFunc(known, func(k acquaintance) bool { return k.ID == id }) {
			delete(l.waits, id)
		}
	}
	have := count(connected, l.outside)
	room, perSite := maxNear-have, make(map[string]int)
	if l.outside {
		switch room = maxOutside - have; {
		case !gateway:
			room = 0
		case now.Before(l.settled):
			room = needyBelow - have
			next = earlier(next, l.settled)
		}
		for _, c := range connected {
			if !c.local {
				perSite[c.site]++
			}
		}
	}
	for _, k := range known {
		if k.outside != l.outside || k.ID == f.host.ID() {
			continue
		}
		wait := l.waits[k.ID]
		if isConnected(connected, k.ID) {
			if wait != nil && !now.Before(wait.until) && !now.Before(wait.asked) {
				delete(l.waits, k.ID)
			}
			continue
		}
		if wait == nil {
			wait = &backoff{}
		}
		if until := wait.end(have > 0); now.Before(until) {
			next = earlier(next, until)
			continue
		}
		if room <= 0 || perSite[k.site] >= maxPerSite {
			continue // the end of a connection wakes this lane
		}
		if ok, again := l.dials.take(now); !ok {
			next = earlier(next, again)
			break
		}
		room--
		if l.outside {
			perSite[k.site]++
		}
		l.waits[k.ID] = wait
		batch = append(batch, k.AddrInfo)
		next = earlier(next, wait.failed(now, l.pace))
	}
	return batch, next
}

// acquaintance is a peer that this node may dial.
type acquaintance struct {
	peer.AddrInfo
	outside bool
	site    string
}

// known lists bootstrap nodes first, then what the book remembers.
func (f *finder) known() []acquaintance {
	remembered := f.book.all()
	at := make(map[peer.ID]int, len(remembered))
	for i, r := range remembered {
		at[r.ID] = i
	}
	var list []acquaintance
	for _, b := range f.bootstrap {
		r := remembrance{AddrInfo: b}
		if i, ok := at[b.ID]; ok {
			r = remembered[i]
			r.Addrs = append(slices.Clone(b.Addrs), r.Addrs...) // what the operator said goes first
			remembered[i].ID = ""
		}
		list = append(list, f.acquaintance(r))
	}
	for _, r := range remembered {
		if r.ID != "" {
			list = append(list, f.acquaintance(r))
		}
	}
	return list
}

// acquaintance says where a peer is likely to be: where it was when it was met;
// at this site if it claims its label; outside if others told of it; or else
// where its addresses are.
func (f *finder) acquaintance(r remembrance) acquaintance {
	a := acquaintance{AddrInfo: r.AddrInfo}
	switch {
	case r.met:
		a.outside = !r.local
		a.site = remoteSite(r.site, net.ParseIP(r.source), r.ID)
		return a
	case r.told:
		a.outside = r.site == "" || r.site != f.label
	default:
		a.outside = !slices.ContainsFunc(r.Addrs, nearbyAddress)
	}
	// Private addresses may be the same at many sites: public ones go first.
	var ip net.IP
	if at := max(slices.IndexFunc(r.Addrs, manet.IsPublicAddr), 0); at < len(r.Addrs) {
		ip = ipOf(r.Addrs[at])
	}
	a.site = remoteSite(r.site, ip, r.ID)
	return a
}

// trim closes connections to the outside that this node should not keep.
func (f *finder) trim(ctx context.Context) error {
	tick := time.NewTicker(trimPause)
	defer tick.Stop()
	gateway, changed := f.site.Gateway()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			was := gateway
			if gateway, changed = f.site.Gateway(); gateway != was {
				since = time.Now()
				f.log.Debug("contact with the outside", slog.Bool("is_for_this_node", gateway))
				f.contacts.changed()
			}
		case <-tick.C:
		}
		for _, c := range surplus(time.Now(), gateway, since, f.connected()) {
			f.log.Debug("leaving a peer outside", slog.String("peer", c.id.String()), slog.Bool("gateway", gateway))
			f.parts(ctx, c.id, gateway)
		}
	}
}

// surplus returns which of the connected peers to part from. No connection
// younger than handover is among them, none that a transfer runs on, and of a
// gateway's none that keeps a peer in contact at all.
func surplus(now time.Time, gateway bool, since time.Time, connected []contact) (leave []contact) {
	var outside []contact
	for _, c := range connected {
		if !c.local {
			outside = append(outside, c)
		}
	}
	// Whom to keep first.
	slices.SortFunc(outside, func(a, b contact) int {
		rank := func(c contact) int {
			switch {
			case c.busy:
				return 0
			case c.named:
				return 1
			case c.needy:
				return 2
			default:
				return 3
			}
		}
		return cmp.Or(rank(a)-rank(b), a.since.Compare(b.since), cmp.Compare(a.id, b.id))
	})
	kept, perSite := 0, make(map[string]int)
	for _, c := range outside {
		young := now.Sub(c.since) < handover
		var keep bool
		switch {
		case c.busy || young:
			keep = true
		case !gateway:
			keep = now.Sub(since) < handover
		case c.needy:
			keep = kept < maxServed && perSite[c.site] < maxPerSite
		default:
			keep = kept < maxOutside && perSite[c.site] < maxPerSite
		}
		if keep {
			kept++
			perSite[c.site]++
			continue
		}
		leave = append(leave, c)
	}
	return leave
}
