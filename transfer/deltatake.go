package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
)

// A delta that began with little known of the link is given up for plain chunks
// or another effort once the link has shown to be fast, if so much is missing.
const (
	switchPlain = 4 << 20
	switchFast  = 32 << 20
	ratedBytes  = 1 << 20 // that tell a rate: more than what waits unread in buffers
)

// codingRate is the least speed, in bytes of both files a second, that a server
// codes with before it counts as stalled.
const codingRate = 256 << 10

// errSwitch says that the delta is given up for something faster.
var errSwitch = errors.New("the link is not as fast or slow as thought")

// refusedError is a fault that came after the take.
type refusedError struct{ fault *deltaFault }

func (e *refusedError) Error() string {
	return fmt.Sprintf("peer gives no delta: %.32q %.80q", e.fault.Code, e.fault.Text)
}

// part is a delta of which something is here.
type part struct {
	key    deltaKey
	basis  int
	growth *growth
}

func (p *part) close(why error, keep bool) error {
	err := p.growth.fail(why, keep)
	p.growth.release()
	return err
}

// openPart opens what is here of a delta, nil if nothing is.
func (r *deltaRun) openPart() (*part, error) {
	k, basis, ok := r.part()
	if !ok {
		return nil, nil
	}
	g, err := r.t.deltas.cache.begin(k, deltaPartly)
	if err != nil || g == nil {
		return nil, r.roomError(err)
	}
	return &part{k, basis, g}, nil
}

// roomError says why the folder of deltas did not take something.
func (r *deltaRun) roomError(err error) error {
	if err == nil {
		return nil
	}
	return &NoDeltaError{Reason: DeltaNoRoom, Err: err}
}

// round finds a peer and takes its delta. Nil if the file is complete, or if it
// is worth another round.
func (r *deltaRun) round(ctx context.Context, missing uint64) error {
	p, err := r.openPart()
	if err != nil {
		return err
	}
	s, err := r.court(ctx, missing, p)
	if err != nil {
		if p != nil {
			err = errors.Join(err, p.close(err, true))
		}
		return err
	}
	defer s.session.close()
	k := r.t.deltas.key(r.id, r.job.Bases[s.answer.Basis], s.answer.Effort)
	if p != nil && p.key != k {
		if err := p.close(errSwitch, true); err != nil {
			return r.roomError(err)
		}
		p = nil
	}
	if p == nil {
		g, err := r.t.deltas.cache.begin(k, deltaPartly)
		if err == nil && g == nil {
			err = errors.New("it is in use here")
		}
		if err != nil {
			return r.roomError(err)
		}
		p = &part{k, int(s.answer.Basis), g}
	}
	ended := r.t.deltas.begun(r.id, &fetching{p.growth, k, s.id, s.answer.Bytes})
	r.t.hub.changed(r.id) // peers that wait for it hear that it is coming
	defer func() {
		ended()
		r.t.hub.changed(r.id) // or that it has come
	}()
	r.t.cfg.Logger.Info("taking a delta", slog.String("path", r.job.File.Path), slog.Any("peer", s.id),
		slog.String("link", string(s.link)), slog.Any("basis", k.basis), slog.Int("effort", int(k.effort)), slog.Uint64("bytes", s.answer.Bytes))
	before := p.growth.size()
	err = r.take(ctx, s, p, missing)
	after := p.growth.size()
	if err == nil {
		r.result.Basis, r.result.Effort, r.result.Bytes = k.basis, k.effort, uint64(after)
		if err := p.growth.keep(); err != nil {
			r.t.cfg.Logger.Warn("delta is not kept to be passed on", slog.Any("error", errors.Join(err, p.close(err, false))))
			return nil
		}
		p.growth.release()
		return nil
	}
	return r.judge(ctx, s, p, err, after > before)
}

// judge says what follows from a delta that came to nothing: nil for another
// round.
func (r *deltaRun) judge(ctx context.Context, s *suitor, p *part, why error, progress bool) error {
	_, own := errors.AsType[*storeError](why)
	_, none := errors.AsType[*NoDeltaError](why)
	refused, isRefused := errors.AsType[*refusedError](why)
	bad := errors.Is(why, ErrCorrupt) || errors.Is(why, ErrProtocol)
	relay := errors.Is(why, errRelay) || s.answer.Relay && isRefused && refused.fault.Code == deltaGone
	worse := isRefused && refused.fault.Code == deltaWorse
	room := errors.Is(why, errDeltaRoom)
	keep := !bad && !worse && !room && !errors.Is(why, errSwitch) && !none
	if err := p.close(why, keep); err != nil {
		r.t.cfg.Logger.Warn("part of a delta is not kept", slog.Any("error", err))
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(why, ErrTurn):
		return why
	case own, none:
		return why
	case room:
		return &NoDeltaError{Reason: DeltaNoRoom, Err: why}
	case errors.Is(why, errSwitch):
		return nil
	case relay:
		r.direct = true
		r.scout.ended(s.id, nil, s.link)
		return nil
	case worse:
		r.refuse(s, deltaWorse)
		return nil
	}
	r.t.punish(s.session.peer, why)
	r.t.cfg.Logger.Info("delta ended early", slog.Any("peer", s.id), slog.Any("error", why))
	if isRefused && refused.fault.Code == deltaBusy {
		r.scout.ended(s.id, &busyError{min(max(time.Duration(refused.fault.Retry)*time.Second, time.Second), 10*time.Minute)}, s.link)
		return nil
	}
	r.scout.ended(s.id, why, s.link)
	if r.failed++; progress && !bad {
		r.failed = 0
	}
	if r.failed >= maxDeltaFailures {
		return &NoDeltaError{Reason: DeltaFailed, Err: why}
	}
	return nil
}

// watch ends a take from outside once it is no longer this node's turn. Another
// one that comes to lead meanwhile finds the chunks here, inside the site.
func (r *deltaRun) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for turn, turned := r.job.Errand.Turn(); turn.Outside; turn, turned = r.job.Errand.Turn() {
		select {
		case <-turned:
		case <-ctx.Done():
			return
		}
	}
	cancel(ErrTurn)
}

// refuse remembers that a peer has no delta to give.
func (r *deltaRun) refuse(s *suitor, code deltaCode) {
	if r.refused == nil {
		r.refused = map[peer.ID]deltaCode{}
	}
	r.refused[s.id] = code
}

// take accepts the offer, decodes what comes while it comes, and returns nil
// when the file is complete.
func (r *deltaRun) take(ctx context.Context, s *suitor, p *part, missing uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(ctx, func() { _ = s.session.conn.stream.Reset() })()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel(nil)
	beside.Go(func() { r.tell(ctx) })
	if !r.t.near(s.id) {
		beside.Go(func() { r.watch(ctx, cancel) })
	}
	var decoding chan error
	start := func() {
		decoding = make(chan error, 1)
		go func() { // joined below
			err := r.decode(ctx, p.key, p.growth)
			if err != nil {
				cancel(err)
			}
			decoding <- err
		}()
	}
	err := r.receive(s, p, missing, start)
	if err == nil {
		r.t.cfg.Logger.Debug("the delta is here", slog.String("path", r.job.File.Path))
		p.growth.complete()
	} else {
		cancel(err)
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrTurn) {
		err = cause // whatever the stream says of it
	}
	if decoding != nil {
		if failed := <-decoding; failed != nil && (err == nil || errors.Is(context.Cause(ctx), failed)) {
			return failed
		}
	}
	return err
}

// receive appends what comes to the part until the delta is complete.
func (r *deltaRun) receive(s *suitor, p *part, missing uint64, start func()) error {
	had, _ := p.growth.part()
	most := r.job.File.Size + r.job.File.Size/100 + maxDeltaPiece
	if s.answer.Bytes > most {
		return fmt.Errorf("%w: delta of %d bytes for a file of %d", ErrProtocol, s.answer.Bytes, r.job.File.Size)
	}
	if b := s.answer.Bytes; b > uint64(had) && b-uint64(had) > missing {
		return &refusedError{&deltaFault{Code: deltaWorse}}
	}
	if err := s.session.say(&deltaMessage{Take: &deltaTake{}}); err != nil {
		return err
	}
	began, first := time.Now(), true
	r.burst, r.burstAt = 0, began
	buf := make([]byte, maxDeltaPiece)
	for {
		m, err := s.session.receive()
		if err != nil {
			return err
		}
		if first && (m.Data != nil || m.End != nil) {
			first = false
			if m.Data != nil && m.Data.Offset == 0 && had > 0 {
				r.t.cfg.Logger.Info("delta begins anew", slog.Any("peer", s.id), slog.Int64("lost", had))
				if err := p.growth.restart(); err != nil {
					return err
				}
				had = 0
			}
			start()
		}
		switch at, sum := p.growth.part(); {
		case m.Wait != nil && m.Wait.For == waitRelay:
			if time.Since(began) > 2*s.link.relayGrace() {
				return errRelay
			}
			r.burst, r.burstAt = 0, time.Now()
		case m.Wait != nil && m.Wait.For == waitCoding:
			if limit := time.Minute + time.Duration(float64(2*r.job.File.Size)/codingRate*float64(time.Second)); time.Since(began) > limit {
				return fmt.Errorf("%w: no bytes of a delta for %s", ErrStalled, time.Since(began).Round(time.Second))
			}
			r.burst, r.burstAt = 0, time.Now()
		case m.Fault != nil:
			return &refusedError{m.Fault}
		case m.End != nil:
			if m.End.Bytes != uint64(at) || m.End.Sum != sum {
				return fmt.Errorf("%w: delta of %d bytes ends at %d, or its digest is another", ErrCorrupt, m.End.Bytes, at)
			}
			return nil
		case m.Data != nil && m.Data.Offset == uint64(at):
			if uint64(at)+uint64(m.Data.Bytes) > most {
				return fmt.Errorf("%w: delta of more than %d bytes for a file of %d", ErrProtocol, most, r.job.File.Size)
			}
			if err := r.piece(s, p, buf[:m.Data.Bytes]); err != nil {
				return err
			}
			began = time.Now()
			if r.result.Received > r.wanted {
				return &refusedError{&deltaFault{Code: deltaWorse}}
			}
		default:
			return fmt.Errorf("%w: message that was not to come now", ErrProtocol)
		}
	}
}

// piece reads the bytes behind a data message and appends them.
func (r *deltaRun) piece(s *suitor, p *part, buf []byte) error {
	c, silence := s.session.conn, s.session.silence()
	if err := c.stream.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	since := 0
	err := c.payload(buf, func(n int) {
		if since += n; since >= progressBytes {
			since = 0
			_ = c.stream.SetReadDeadline(time.Now().Add(silence))
		}
	})
	if err != nil {
		return stalled(err)
	}
	if _, err := p.growth.Write(buf); err != nil {
		return err
	}
	if r.result.Received == 0 {
		r.t.hub.changed(r.id) // there is something to be passed on
	}
	r.result.Received += uint64(len(buf))
	r.frames.Add(uint64(len(buf)))
	r.t.deltas.totals.received.Add(uint64(len(buf)))
	return r.rate(s, p, len(buf))
}

// rate measures the link, as long as the server does not wait for its coder, and
// gives the delta up where the link proves fast enough for something else.
func (r *deltaRun) rate(s *suitor, p *part, n int) error {
	if r.burst += n; r.burst < ratedBytes {
		return nil
	}
	rate := float64(r.burst) / max(time.Since(r.burstAt), time.Millisecond).Seconds()
	r.burst, r.burstAt = 0, time.Now()
	r.rates[s.id] = rate
	r.t.peers.delivered(s.session.peer, rate, 0)
	left := r.left()
	if s.answer.Bytes > 0 || s.link.rank() >= Narrow.rank() || left < switchPlain || r.t.metered(s.id) {
		return nil
	}
	switch now := deltaEffort(s.link, rate, left); {
	case now == codec.Light, now != p.key.effort && left >= switchFast:
		return errSwitch
	}
	return nil
}

// decode reads the delta from its start, waiting for what is to come, and
// stores the chunks that are missing.
func (r *deltaRun) decode(ctx context.Context, k deltaKey, g *growth) error {
	old, err := r.t.openVerified(ctx, k.basis)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &NoDeltaError{Reason: DeltaFailed, Err: fmt.Errorf("basis: %w", err)}
	}
	defer old.Close()
	held, err := r.t.cfg.Store.Held(r.id)
	if err != nil {
		return &storeError{err}
	}
	w := newDeltaWriter(ctx, r, held)
	r.t.cfg.Logger.Debug("decoding", slog.String("path", r.job.File.Path))
	err = r.t.deltas.cfg.Coder.Decode(ctx, old, g.reader(ctx), w)
	switch {
	case w.Err() != nil:
		return w.Err()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrCorrupt):
		return err
	case err != nil:
		return &NoDeltaError{Reason: DeltaFailed, Err: err}
	}
	if err := w.finish(); err != nil {
		return err
	}
	r.t.cfg.Logger.Debug("decoded", slog.String("path", r.job.File.Path))
	if err := r.t.cfg.Store.Flush(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &storeError{err}
	}
	r.t.hub.changed(r.id)
	return nil
}
