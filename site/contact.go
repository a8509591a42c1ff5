package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// A stream that ends is begun again after a second, and then after twice as long
// each time, unless it lasted.
const (
	firstAttempt  = time.Second
	lastAttempt   = 10 * time.Minute
	goodStream    = time.Minute
	acceptAgain   = firstAttempt / 2 // a peer may begin streams so often
	protocolRoot  = "/dunlin/"
	memberWeight  = 50 // members stay longest when connections are too many
	connectionTag = "dunlin/site"
)

// attempt is what became of streams with a connected peer.
type attempt struct {
	at    time.Time     // not before
	wait  time.Duration // doubles
	began time.Time     // by the peer, the last time
}

// watch subscribes to what the host learns of its peers and of itself.
func (s *Site) watch() (event.Subscription, error) {
	events, err := s.cfg.Host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated),
		new(event.EvtPeerConnectednessChanged), new(event.EvtLocalAddressesUpdated),
	}, eventbus.Name("dunlin/site"), eventbus.BufSize(64))
	if err != nil {
		return nil, fmt.Errorf("subscribe to events of the host: %w", err)
	}
	return events, nil
}

// scan looks at all connections: whether one leads outside, and with whom to
// begin a stream.
func (s *Site) scan(ctx context.Context) {
	now := time.Now()
	contact := false
	var begin []peer.ID
	var again time.Time
	connected := make(map[peer.ID]bool)
	for _, p := range s.cfg.Host.Network().Peers() {
		connected[p] = true
		spoken, err := s.cfg.Host.Peerstore().GetProtocols(p)
		if err != nil || !slices.ContainsFunc(spoken, ours) {
			continue // not identified yet, or none of us
		}
		local, direct := s.reach(p)
		contact = contact || (direct && !local && s.opens(p))
		if !slices.Contains(spoken, ProtocolID) || s.self > p {
			continue
		}
		if at, ok := s.mayBegin(p); ok && at.After(now) {
			again = sooner(again, at)
		} else if ok {
			begin = append(begin, p)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scanAt = again
	for p := range s.attempts {
		if !connected[p] {
			delete(s.attempts, p)
		}
	}
	if contact != s.contact {
		s.contact = contact
		s.contactAt = now
	}
	s.look(now)
	for _, p := range begin {
		if !s.open {
			return
		}
		s.attempts[p] = s.attempts[p].next(now)
		s.scanAt = sooner(s.scanAt, s.attempts[p].at)
		s.handlers.Go(func() { s.begin(ctx, p) })
	}
}

// recheck tells a member once more what it was told if it has come on a new
// connection: where it has lost the old one without a word, as machines do that
// lose power, its system answers that and the old stream ends.
func (s *Site) recheck(c network.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[c.RemotePeer()]
	if l == nil || l.stream.Conn().ID() == c.ID() {
		return
	}
	select {
	case l.again <- struct{}{}:
	default:
	}
}

// opens says whether a connection to p is on a link that is open.
func (s *Site) opens(p peer.ID) bool {
	return s.cfg.Closed == nil || slices.ContainsFunc(s.cfg.Host.Network().ConnsToPeer(p), func(c network.Conn) bool {
		return !c.Stat().Limited && !s.cfg.Closed(c)
	})
}

// Rescan looks at the connections again, since a link has been closed or opened.
func (s *Site) Rescan() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scanAt = time.Now()
	s.poke()
}

func ours(id protocol.ID) bool { return strings.HasPrefix(string(id), protocolRoot) }

// reach says whether a connected peer is in the site, and whether it is reached
// without a relay.
func (s *Site) reach(p peer.ID) (local, direct bool) {
	for _, c := range s.cfg.Host.Network().ConnsToPeer(p) {
		direct = direct || !c.Stat().Limited
		local = local || s.Local(c)
	}
	return local, direct
}

// mayBegin says whether a stream with p is to be begun, and when.
func (s *Site) mayBegin(p peer.ID) (at time.Time, ok bool) {
	where := far
	for _, c := range s.cfg.Host.Network().ConnsToPeer(p) {
		where = max(where, s.nearness(c))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if where == far || s.links[p] != nil || len(s.links) >= maxLinks {
		return at, false
	}
	if a := s.attempts[p]; a != nil {
		at = a.at
	}
	if until := s.vetoes.until(p); where == likely && until.After(at) {
		at = until
	}
	return at, true
}

// next plans the attempt after one that is made now.
func (a *attempt) next(now time.Time) *attempt {
	if a == nil {
		a = new(attempt)
	}
	a.wait = min(max(2*a.wait, firstAttempt), lastAttempt)
	a.at = now.Add(a.wait)
	return a
}

// begin opens a stream with p and stays on it.
func (s *Site) begin(ctx context.Context, p peer.ID) {
	began := time.Now()
	err := func() error {
		opening, cancel := context.WithTimeout(network.WithNoDial(ctx, serviceName), streamTimeout)
		defer cancel()
		stream, err := s.cfg.Host.NewStream(opening, p, ProtocolID)
		if err != nil {
			return err
		}
		return s.attend(ctx, stream)
	}()
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Debug("stream within the site has ended", slog.String("peer", p.String()), slog.Any("error", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.attempts[p]; a != nil && time.Since(began) >= goodStream {
		a.wait = 0
		a.at = time.Now().Add(firstAttempt)
	}
	s.scanAt = time.Now()
	s.poke()
}

// serve takes streams that other members begin.
func (s *Site) serve(ctx context.Context) network.StreamHandler {
	return func(stream network.Stream) {
		p := stream.Conn().RemotePeer()
		if !s.accept(p) {
			_ = stream.Reset()
			return
		}
		defer s.handlers.Done()
		if err := s.attend(ctx, stream); err != nil && ctx.Err() == nil {
			level := slog.LevelDebug
			if errors.Is(err, ErrProtocol) {
				level = slog.LevelWarn
			}
			s.cfg.Logger.Log(ctx, level, "stream within the site has ended", slog.String("peer", p.String()), slog.Any("error", err))
		}
	}
}

// accept says whether p may begin a stream now; handlers then counts it.
func (s *Site) accept(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	a := s.attempts[p]
	if !s.open || p > s.self || (a != nil && now.Sub(a.began) < acceptAgain) {
		return false
	}
	if a == nil {
		a = new(attempt)
		s.attempts[p] = a
	}
	a.began = now
	s.handlers.Add(1)
	return true
}

// attend checks that a stream is within the site and stays on it.
func (s *Site) attend(ctx context.Context, stream network.Stream) error {
	if err := stream.Scope().SetService(serviceName); err != nil {
		_ = stream.Reset()
		return err
	}
	c := stream.Conn()
	where := s.nearness(c)
	if where == far || (where == likely && s.vetoes.until(c.RemotePeer()).After(time.Now())) {
		_ = stream.Reset()
		return errFar
	}
	manager := s.cfg.Host.ConnManager()
	manager.TagPeer(c.RemotePeer(), connectionTag, memberWeight)
	defer manager.UntagPeer(c.RemotePeer(), connectionTag)
	return s.converse(ctx, stream, where == near)
}
