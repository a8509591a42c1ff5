package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/dunlin-mesh/dunlin/fleet"
	"github.com/dunlin-mesh/dunlin/gossip"
	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// gateAgain is how often it is looked up, on this machine, whether a link that
// was closed has opened.
const gateAgain = time.Second

// gate is a host whose background sessions wait while the link is closed, by
// schedule or budget: sync, fleet and contacts, whoever begins them. A session
// that is under way ends as it would; each of them is bounded. What still passes
// is announcements of signed heads on the topic, identify, the members of the
// site, relays, and the connection itself. Safe for concurrent use.
type gate struct {
	host.Host
	path func(network.Conn) transfer.Path

	mu   sync.Mutex
	shut map[peer.ID]bool // guarded by mu; peers that sessions were refused with, at most those connected
	wake chan struct{}    // buffered
}

func newGate(h host.Host, path func(network.Conn) transfer.Path) *gate {
	return &gate{Host: h, path: path, shut: make(map[peer.ID]bool), wake: make(chan struct{}, 1)}
}

// background says whether sessions of the protocol wait while a link is closed.
func background(id protocol.ID) bool {
	return id == gossip.SyncProtocol || id == fleet.Protocol || id == contactsProtocol
}

// NewStream implements host.Host.
func (g *gate) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	if len(protocols) != 1 || !background(protocols[0]) {
		return g.Host.NewStream(ctx, p, protocols...)
	}
	if err := g.closedTo(p); err != nil {
		return nil, err
	}
	s, err := g.Host.NewStream(ctx, p, protocols...)
	if err != nil {
		return nil, err
	}
	if err := g.closed(s.Conn()); err != nil { // another one of several connections
		return nil, errors.Join(err, s.Reset())
	}
	return s, nil
}

// SetStreamHandler implements host.Host.
func (g *gate) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	if !background(id) {
		g.Host.SetStreamHandler(id, handler)
		return
	}
	g.Host.SetStreamHandler(id, func(s network.Stream) {
		if g.closed(s.Conn()) != nil {
			_ = s.ResetWithError(network.StreamRateLimited)
			return
		}
		handler(s)
	})
}

// closed returns why background sessions on the connection wait; nil if they do
// not.
func (g *gate) closed(c network.Conn) error {
	link := linkOf(g.path(c))
	if link == nil {
		return nil
	}
	_, err := link.Admit(links.Use{})
	if err == nil {
		return nil
	}
	g.mu.Lock()
	g.shut[c.RemotePeer()] = true
	g.mu.Unlock()
	signal(g.wake)
	return fmt.Errorf("background traffic: %w", err)
}

// closedTo returns why they wait on every connection to the peer.
func (g *gate) closedTo(p peer.ID) (err error) {
	for _, c := range g.Network().ConnsToPeer(p) {
		if err = g.closed(c); err == nil {
			return nil
		}
	}
	return err
}

// run calls opened for each peer that sessions were refused with, once its link
// has opened, until ctx ends.
func (g *gate) run(ctx context.Context, opened func(peer.ID)) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.wake:
		}
		for g.waits() {
			pause := time.NewTimer(gateAgain)
			select {
			case <-ctx.Done():
				pause.Stop()
				return ctx.Err()
			case <-pause.C:
			}
			for _, p := range g.reopened() {
				calls.Go(func() { opened(p) })
			}
		}
	}
}

func (g *gate) waits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.shut) > 0
}

// reopened returns the peers whose links are open again, and forgets those that
// left.
func (g *gate) reopened() (open []peer.ID) {
	g.mu.Lock()
	ids := slices.Collect(maps.Keys(g.shut))
	g.mu.Unlock()
	for _, p := range ids {
		here := g.Network().Connectedness(p) != network.NotConnected
		if here && g.closedTo(p) != nil {
			continue
		}
		g.mu.Lock()
		delete(g.shut, p)
		g.mu.Unlock()
		if here {
			open = append(open, p)
		}
	}
	return open
}

// catchUp makes up with a peer whose link has opened for what waited.
func (n *Node) catchUp(ctx context.Context, net *online, p peer.ID) {
	n.log.Info("link is open again", slog.String("peer", p.String()))
	net.fleet.Retry(p)
	net.find.contacts.retry(p)
	if err := net.gossip.Sync(ctx, p); err != nil {
		n.log.Debug("peer does not answer about publishers", slog.String("peer", p.String()), slog.Any("error", err))
	}
	n.poke()
}
