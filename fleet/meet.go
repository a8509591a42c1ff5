package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/internal/parley"
)

const (
	meeters       = 4 // sessions that this node begins at once
	sessionBudget = 10 * time.Minute
)

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
		if err := parley.SleepUntil(ctx, again, f.contacts.wake); err != nil {
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
	admitted := !f.closed && f.gate.Enter(p)
	if admitted {
		f.served.Add(1)
	}
	f.gates.Unlock()
	if !admitted {
		_ = stream.ResetWithError(network.StreamRateLimited)
		return
	}
	defer func() {
		f.gate.Leave(p)
		f.served.Done()
	}()
	f.peers.Meet(p) // the host may not know yet what it speaks
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
