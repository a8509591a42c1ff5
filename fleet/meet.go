package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"golang.org/x/sync/errgroup"
)

const (
	meeters       = 4 // sessions that this node begins at once
	sessionBudget = 10 * time.Minute
)

// watch subscribes to what the host learns of its peers.
func (f *Fleet) watch() (event.Subscription, error) {
	events, err := f.config.Host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
		new(event.EvtPeerConnectednessChanged),
	}, eventbus.Name("dunlin/fleet"))
	if err != nil {
		return nil, fmt.Errorf("subscribe to events of the host: %w", err)
	}
	return events, nil
}

// follow keeps contacts in step with the connections until ctx ends.
func (f *Fleet) follow(ctx context.Context, events event.Subscription) error {
	h := f.config.Host
	for _, p := range h.Network().Peers() {
		if speaks, err := h.Peerstore().SupportsProtocols(p, Protocol); err == nil && len(speaks) > 0 {
			f.arrived(p)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events.Out():
			if !ok {
				return errors.New("events of the host ended")
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				if slices.Contains(e.Protocols, Protocol) {
					f.arrived(e.Peer)
				}
			case event.EvtPeerProtocolsUpdated:
				if slices.Contains(e.Added, Protocol) {
					f.arrived(e.Peer)
				}
				if slices.Contains(e.Removed, Protocol) {
					f.contacts.left(e.Peer)
				}
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness != network.Connected {
					f.contacts.left(e.Peer)
				}
			}
		}
	}
}

func (f *Fleet) arrived(p peer.ID) {
	if f.config.Host.Network().Connectedness(p) == network.Connected {
		f.contacts.arrived(f, p)
	}
}

// keepMeeting begins sessions when they are due until ctx ends.
func (f *Fleet) keepMeeting(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(meeters)
	for {
		p, ok, again := f.contacts.next(time.Now())
		if ok {
			group.Go(func() error {
				defer f.contacts.free(p)
				if err := f.meet(ctx, p); err != nil && ctx.Err() == nil {
					f.config.Logger.Debug("no fleet session", slog.String("peer", p.String()), slog.Any("error", err))
				}
				return nil
			})
			continue
		}
		if err := sleepUntil(ctx, again, f.contacts.wake); err != nil {
			_ = group.Wait() // never an error
			return err
		}
	}
}

// meet runs a session with a connected peer.
func (f *Fleet) meet(ctx context.Context, p peer.ID) error {
	ctx, cancel := context.WithTimeout(ctx, sessionBudget)
	defer cancel()
	stream, err := f.config.Host.NewStream(network.WithNoDial(ctx, "fleet"), p, Protocol)
	if err != nil {
		f.contacts.failedToBegin(p, f.paceWith(p).pause, err)
		return fmt.Errorf("fleet session with %s: %w", p, err)
	}
	s := f.newSession(stream)
	err = s.run(ctx, s.begin)
	f.finish(ctx, s, err)
	if err != nil {
		return fmt.Errorf("fleet session with %s: %w", p, err)
	}
	return nil
}

// serve answers a session that another node begins.
func (f *Fleet) serve(ctx context.Context, stream network.Stream) {
	p := stream.Conn().RemotePeer()
	if f.contacts.onParole(p) {
		_ = stream.ResetWithError(network.StreamRateLimited)
		return
	}
	f.gates.Lock()
	admitted := !f.closed && f.gate.enter(p, time.Now())
	if admitted {
		f.served.Add(1)
	}
	f.gates.Unlock()
	if !admitted {
		_ = stream.ResetWithError(network.StreamRateLimited)
		return
	}
	defer func() {
		f.gates.Lock()
		f.gate.leave(p)
		f.gates.Unlock()
		f.served.Done()
	}()
	f.arrived(p) // the host may not know yet what it speaks
	ctx, cancel := context.WithTimeout(ctx, sessionBudget)
	defer cancel()
	s := f.newSession(stream)
	err := s.run(ctx, func() error { return nil })
	f.finish(ctx, s, err)
	if err != nil && ctx.Err() == nil {
		f.config.Logger.Debug("fleet session served in part", slog.String("peer", p.String()), slog.Any("error", err))
	}
}

func (f *Fleet) finish(ctx context.Context, s *session, err error) {
	f.contacts.ended(f, s, err)
	if err != nil && ctx.Err() == nil && atFault(err) {
		f.config.Logger.Warn("peer put on parole", slog.String("peer", s.with.String()), slog.Any("error", err))
	}
}

// sleepUntil returns nil at the given time (never, if it is zero) or at a token
// of wake, and the error of ctx when that ends.
func sleepUntil(ctx context.Context, at time.Time, wake <-chan struct{}) error {
	var due <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-due:
	case <-wake:
	}
	return nil
}
