package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// SyncProtocol names the anti-entropy protocol: see docs/protocol.md.
const SyncProtocol protocol.ID = "/dunlin/sync/2"

// reconcile runs a session with a connected peer: about everything, or only
// about the given publishers, perhaps in a hurry since somebody else can be asked.
func (g *Gossip) reconcile(ctx context.Context, with peer.ID, hurry bool, publishers []trust.Fingerprint) error {
	if until := g.parole.until(with); until.After(time.Now()) {
		g.meets.met(with, 0, false)
		return fmt.Errorf("sync with %s: %w until %s", with, ErrParole, until.Format(time.RFC3339))
	}
	ctx, cancel := context.WithTimeout(ctx, g.params.sessionBudget)
	defer cancel()
	stream, err := g.config.Host.NewStream(network.WithNoDial(ctx, "sync"), with, SyncProtocol)
	if err != nil {
		g.meets.met(with, 0, false)
		return fmt.Errorf("sync with %s: %w", with, err)
	}
	s := g.newSession(stream)
	err = s.run(ctx, func() error { return s.begin(publishers, hurry) })
	if len(publishers) == 0 {
		g.meets.met(with, s.seen, err == nil && !s.retry)
	}
	if err = errors.Join(append(s.unapplied, err)...); err != nil {
		return fmt.Errorf("sync with %s: %w", with, err)
	}
	return nil
}

// serve answers the sessions that others begin, until ctx ends.
func (g *Gossip) serve(ctx context.Context) network.StreamHandler {
	return func(stream network.Stream) {
		with := stream.Conn().RemotePeer()
		if g.parole.until(with).After(time.Now()) {
			_ = stream.ResetWithError(network.StreamGated)
			return
		}
		if !g.gate.Enter(with) {
			_ = stream.ResetWithError(network.StreamRateLimited)
			return
		}
		defer g.gate.Leave(with)
		g.peers.Meet(with) // the host may not know yet what it speaks
		ctx, cancel := context.WithTimeout(ctx, g.params.sessionBudget)
		defer cancel()
		s := g.newSession(stream)
		err := s.run(ctx, func() error { return nil })
		if s.theirs != nil {
			g.meets.met(with, s.seen, err == nil && !s.retry)
		} else if err == nil {
			for publisher, seen := range s.granted {
				g.meets.took(with, publisher, seen)
			}
		}
		if err = errors.Join(append(s.unapplied, err)...); err != nil && ctx.Err() == nil {
			g.config.Logger.Info("sync served, not all of it well", slog.String("peer", with.String()), slog.Any("error", err))
		}
	}
}

// run begins and holds the conversation, ends the stream, blames the peer if it
// is at fault, and passes on what was learnt.
// Its error says nothing of what the state refused.
func (s *session) run(ctx context.Context, begin func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = s.stream.Reset() })
	defer stop()
	err := begin()
	if err == nil {
		err = s.converse(ctx)
	}
	switch {
	case err == nil:
		_ = s.stream.Close() // the other side may have closed first, having heard everything
	case s.atFault(err):
		s.g.blame(s.with, err)
		_ = s.stream.ResetWithError(network.StreamProtocolViolation)
		err = errors.Join(ErrProtocol, err)
	default:
		_ = s.stream.Reset()
	}
	s.g.announceChanged(ctx, s)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return refusal(err)
	}
	s.remember()
	return nil
}

// atFault says whether err is the other side's doing.
func (s *session) atFault(err error) bool {
	return errors.Is(err, ErrProtocol) || errors.Is(err, manifest.ErrFormat) || trust.Hostile(err)
}

// refusal gives the reasons for which peers refuse sessions their names.
func refusal(err error) error {
	reset, ok := errors.AsType[*network.StreamError](err)
	switch {
	case !ok || !reset.Remote:
		return err
	case reset.ErrorCode == network.StreamRateLimited:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case reset.ErrorCode == network.StreamGated:
		return fmt.Errorf("refused, this node is on parole there: %w", err)
	}
	return err
}

// remember notes that these two vectors are reconciled, if they still stand.
func (s *session) remember() {
	if s.theirs != nil && len(s.changed) == 0 && !s.retry {
		s.g.memory.remember(s.with, s.digest, s.theirs)
	}
}

// announceChanged tells the mesh what a session has changed, except of heads
// that the topic has brought: those are on their way already.
func (g *Gossip) announceChanged(ctx context.Context, s *session) {
	if len(s.changed) == 0 {
		return
	}
	heads := slices.DeleteFunc(g.config.State.Heads(), func(h trust.Head) bool { return !s.changed[h.Publisher] })
	g.meets.changed(s.with, heads...)
	topic, err := g.running(ctx)
	if err != nil {
		return // stopping: whoever comes later learns by anti-entropy
	}
	for _, head := range heads {
		if g.learn.brought(head) {
			continue
		}
		if err := topic.publish(ctx, head); err != nil && ctx.Err() == nil {
			g.config.Logger.Warn("announcing failed", slog.String("publisher", head.Publisher.String()), slog.Any("error", err))
		}
	}
}
