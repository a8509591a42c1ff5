package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/errgroup"
)

const (
	parallelDials = 4
	bookInterval  = time.Minute
	netInterval   = 10 * time.Second // at the addresses of this machine
)

// finder brings the node into contact and keeps it there: with everybody at its
// site, found over mDNS or remembered; with a few nodes outside, if this node is
// to keep contact with the outside (see reach.go), which the operator named,
// which are remembered, or of which others told (see contacts.go).
type finder struct {
	host      host.Host
	book      *book
	site      premises
	preset    Preset
	label     string // of this node's site, or empty
	bootstrap []peer.AddrInfo
	mdnsName  string // empty for no mDNS
	discreet  bool   // tell nobody of others, and use nothing of what is told
	log       *slog.Logger

	relays    *relays
	contacts  *contacts
	connected func() []contact                     // of contacts; another in tests
	parts     func(context.Context, peer.ID, bool) // the same
	near      *lane
	outside   *lane
}

// complete makes what the fields before it do not hold.
func (f *finder) complete() *finder {
	f.contacts = newContacts(f)
	f.connected, f.parts = f.contacts.view, f.contacts.part
	f.near, f.outside = newLane(LAN, false), newLane(f.preset, true)
	return f
}

// run dials until ctx ends, and keeps the address book.
func (f *finder) run(ctx context.Context) error {
	events, err := f.host.EventBus().Subscribe([]any{
		new(event.EvtPeerConnectednessChanged), new(event.EvtPeerIdentificationCompleted),
	}, eventbus.BufSize(64))
	if err != nil {
		return err
	}
	defer events.Close()
	found := make(chan peer.AddrInfo, 16)
	if f.mdnsName != "" {
		service := mdns.NewMdnsService(neighbourly{f.host}, f.mdnsName, notifee(func(p peer.AddrInfo) {
			select {
			case found <- p:
			case <-ctx.Done():
			}
		}))
		if err := service.Start(); err != nil {
			// A machine without a multicast interface is no reason to stop.
			f.log.Warn("no discovery on the local network", slog.Any("error", err))
		} else {
			defer func() {
				if err := service.Close(); err != nil {
					f.log.Warn("stop local discovery", slog.Any("error", err))
				}
			}()
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.redial(ctx, f.near) })
	group.Go(func() error { return f.redial(ctx, f.outside) })
	group.Go(func() error { return f.greet(ctx, found) })
	group.Go(func() error { return f.trim(ctx) })
	group.Go(func() error { return f.contacts.run(ctx) })
	group.Go(func() error { return f.keepRelays(ctx) })
	group.Go(func() error { return f.keepBook(ctx, events.Out()) })
	err = group.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	f.saveBook()
	return err
}

// saveBook makes the book durable; failing that costs only the memory.
func (f *finder) saveBook() {
	if err := f.book.save(); err != nil {
		f.log.Warn("address book is not saved", slog.Any("error", err))
	}
}

// notifee makes a function what mdns wants.
type notifee func(peer.AddrInfo)

// HandlePeerFound implements mdns.Notifee.
func (n notifee) HandlePeerFound(p peer.AddrInfo) { n(p) }

// keepBook notes every peer that was identified while connected, and tells the
// redialler of every peer that was lost and of every change of the network.
func (f *finder) keepBook(ctx context.Context, events <-chan any) error {
	tick := time.NewTicker(bookInterval)
	defer tick.Stop()
	look := time.NewTicker(netInterval)
	defer look.Stop()
	was := ownAddresses()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			f.saveBook()
		case <-look.C:
			if is := ownAddresses(); is != was {
				was = is
				f.log.Info("the network has changed")
				f.hurry()
			}
		case e, ok := <-events:
			if !ok {
				return ctx.Err()
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				f.contacts.identified(e)
				local := f.site.Local(e.Conn)
				if !local {
					f.relays.seen(e.Conn, e.ObservedAddr, ownAddress)
				}
				signal(f.relays.wake)
				f.book.remember(e.Peer, lasting(f.host.Peerstore().Addrs(e.Peer), e.Conn), meetingOf(e, local), time.Now())
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == network.NotConnected {
					f.contacts.left(e.Peer)
					f.wake()
					signal(f.relays.wake)
				}
				f.log.Debug("peer", slog.String("peer", e.Peer.String()), slog.String("is", e.Connectedness.String()))
			}
		}
	}
}

// seqOf returns the sequence of a peer record; 0 without one.
func seqOf(e *record.Envelope) uint64 {
	if e == nil {
		return 0
	}
	if untyped, err := e.Record(); err == nil {
		if r, ok := untyped.(*peer.PeerRecord); ok {
			return r.Seq
		}
	}
	return 0
}

// ownAddresses returns the addresses of this machine's interfaces, as something
// to compare.
func ownAddresses() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, a := range addrs {
		b.WriteString(a.String() + " ")
	}
	return b.String()
}

// ownAddress says whether an address is one of this machine's.
func ownAddress(a multiaddr.Multiaddr) bool {
	ip, err := manet.ToIP(a)
	if err != nil {
		return false
	}
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(own net.Addr) bool {
		n, ok := own.(*net.IPNet)
		return ok && n.IP.Equal(ip)
	})
}

// wake has both lanes look again.
func (f *finder) wake() {
	signal(f.near.wake)
	signal(f.outside.wake)
}

// hurry forgets how long peers did not answer, since something changed: this
// machine's addresses, or what somebody here wants.
func (f *finder) hurry() {
	f.near.hurry()
	f.outside.hurry()
}

// greet dials peers that mDNS finds, at once and a few at a time, so that one
// that does not answer keeps nobody else waiting. It returns when every dial has
// ended.
func (f *finder) greet(ctx context.Context, found <-chan peer.AddrInfo) error {
	var mu sync.Mutex
	dialling := make(map[peer.ID]bool) // mu
	var dials errgroup.Group
	dials.SetLimit(parallelDials)
	for {
		select {
		case <-ctx.Done():
			return errors.Join(dials.Wait(), ctx.Err())
		case p := <-found:
			mu.Lock()
			busy := dialling[p.ID]
			mu.Unlock()
			connected := f.connected()
			if busy || p.ID == f.host.ID() || isConnected(connected, p.ID) || count(connected, false) >= maxNear {
				continue
			}
			mu.Lock()
			dialling[p.ID] = true
			mu.Unlock()
			dials.Go(func() error {
				f.dial(ctx, p)
				mu.Lock()
				defer mu.Unlock()
				delete(dialling, p.ID)
				return nil
			})
		}
	}
}

// redial tries the peers of a lane that are not connected and that there is room
// for, again and again with growing waits. A wait starts anew only after a
// connection that outlasted it, so that a peer which takes connections and drops
// them is not dialled in a tight loop.
func (f *finder) redial(ctx context.Context, l *lane) error {
	for {
		gateway, changed := f.site.Gateway()
		batch, next := f.choose(l, time.Now(), gateway, f.connected())
		var dials errgroup.Group
		dials.SetLimit(parallelDials)
		for _, p := range batch {
			dials.Go(func() error { f.dial(ctx, p); return nil })
		}
		_ = dials.Wait() // they return none
		timer := time.NewTimer(max(time.Until(next), time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-changed:
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// dial connects and keeps the book of those that cannot be reached.
func (f *finder) dial(ctx context.Context, p peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(ctx, f.preset.pace().dial)
	defer cancel()
	// Whom this node relays for it has as a peer, or does not reach.
	p.Addrs = slices.DeleteFunc(slices.Clone(p.Addrs), func(a multiaddr.Multiaddr) bool {
		via, err := a.ValueForProtocol(multiaddr.P_P2P)
		return relayed(a) && err == nil && via == f.host.ID().String()
	})
	p.Addrs = withZones(p.Addrs, cables())
	if err := f.host.Connect(ctx, p); err != nil {
		f.book.failed(p.ID)
		f.log.Debug("peer is out of reach", slog.String("peer", p.ID.String()), slog.Any("error", err))
	}
}
