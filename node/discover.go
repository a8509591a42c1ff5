package node

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"golang.org/x/sync/errgroup"
)

// Redialling: the first wait, its growth up to the last wait. A node that is
// off for a day costs a few dozen SYN packets.
const (
	firstRedial   = 2 * time.Second
	lastRedial    = 5 * time.Minute
	dialTimeout   = 30 * time.Second // a satellite handshake takes five round trips
	parallelDials = 4
	bookInterval  = time.Minute
)

// finder brings the node into contact: bootstrap nodes, remembered nodes, and
// nodes on the local network that announce themselves over mDNS.
type finder struct {
	host      host.Host
	book      *book
	bootstrap []peer.AddrInfo
	mdnsName  string // empty for no mDNS
	log       *slog.Logger
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
	lost := make(chan struct{}, 1)
	if f.mdnsName != "" {
		service := mdns.NewMdnsService(f.host, f.mdnsName, notifee(func(p peer.AddrInfo) {
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
	group.Go(func() error { return f.redial(ctx, lost) })
	group.Go(func() error { return f.greet(ctx, found) })
	group.Go(func() error { return f.keepBook(ctx, events.Out(), lost) })
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
// redialler of every peer that was lost.
func (f *finder) keepBook(ctx context.Context, events <-chan any, lost chan<- struct{}) error {
	tick := time.NewTicker(bookInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			f.saveBook()
		case e, ok := <-events:
			if !ok {
				return ctx.Err()
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				f.book.remember(e.Peer, f.host.Peerstore().Addrs(e.Peer), meetingOf(e.Conn), time.Now())
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == network.NotConnected {
					signal(lost)
				}
				f.log.Debug("peer", slog.String("peer", e.Peer.String()), slog.String("is", e.Connectedness.String()))
			}
		}
	}
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
			if busy || p.ID == f.host.ID() || f.host.Network().Connectedness(p.ID) == network.Connected {
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

// redial tries every known peer that is not connected, again and again with
// growing waits. A wait starts anew only after a connection that outlasted it,
// so that a peer which takes connections and drops them is not dialled in a
// tight loop.
func (f *finder) redial(ctx context.Context, lost <-chan struct{}) error {
	waits := make(map[peer.ID]*backoff)
	for {
		now := time.Now()
		next := now.Add(lastRedial)
		dials, dialCtx := errgroup.WithContext(ctx)
		dials.SetLimit(parallelDials)
		known := f.known()
		for id := range waits {
			if !slices.ContainsFunc(known, func(p peer.AddrInfo) bool { return p.ID == id }) {
				delete(waits, id)
			}
		}
		for _, p := range known {
			wait := waits[p.ID]
			if p.ID == f.host.ID() || f.host.Network().Connectedness(p.ID) == network.Connected {
				if wait != nil && !now.Before(wait.until) {
					delete(waits, p.ID)
				}
				continue
			}
			if wait == nil {
				wait = &backoff{}
				waits[p.ID] = wait
			}
			if now.Before(wait.until) {
				next = earlier(next, wait.until)
				continue
			}
			dials.Go(func() error { f.dial(dialCtx, p); return nil })
			next = earlier(next, wait.failed(now))
		}
		if err := dials.Wait(); err != nil {
			return err
		}
		timer := time.NewTimer(max(time.Until(next), firstRedial/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-lost:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// known lists bootstrap nodes first, then what the book remembers.
func (f *finder) known() []peer.AddrInfo {
	list := append([]peer.AddrInfo(nil), f.bootstrap...)
	seen := make(map[peer.ID]bool)
	for _, p := range list {
		seen[p.ID] = true
	}
	for _, p := range f.book.all() {
		if !seen[p.ID] {
			list = append(list, p)
		}
	}
	return list
}

func (f *finder) dial(ctx context.Context, p peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := f.host.Connect(ctx, p); err != nil {
		f.log.Debug("peer is out of reach", slog.String("peer", p.ID.String()), slog.Any("error", err))
	}
}

// backoff is how long to leave a peer alone.
type backoff struct {
	until time.Time
	wait  time.Duration
}

// failed doubles the wait, with a jitter of a quarter, and returns its end.
func (b *backoff) failed(now time.Time) time.Time {
	b.wait = min(max(2*b.wait, firstRedial), lastRedial)
	b.until = now.Add(b.wait + rand.N(b.wait/4))
	return b.until
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
