package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	maxDeltaServed  = 64            // sessions at once
	maxDeltaPerPeer = 8             // of one peer
	deltaAlive      = time.Minute   // a server that waits for the file says so as often
	deltaLongest    = 6 * time.Hour // of a session
)

// deltaServing is a delta session that a peer has open here.
type deltaServing struct {
	t       *Transfer
	peer    *peerRecord
	conn    *conn
	link    Link
	outside bool // the client is not of this site
	ask     *deltaAsk
	effort  codec.Effort
	wake    chan struct{} // capacity 1: something about the file has changed
}

// serveDelta answers one session. runCtx is Run's and outlives the session.
func (t *Transfer) serveDelta(runCtx context.Context, stream network.Stream) {
	clean := false
	defer func() {
		if !clean {
			_ = stream.Reset()
		}
	}()
	if err := stream.Scope().SetService(serviceName); err != nil {
		return // over the host's limits
	}
	link := t.linkOf(stream.Conn())
	peer := t.peers.get(stream.Conn().RemotePeer(), link, max(t.cfg.MemoryBytes/4, 2*codec.MaxFrameBytes))
	defer t.peers.put(peer)
	s := &deltaServing{
		t: t, peer: peer, link: link, outside: !t.inside(stream.Conn()), wake: make(chan struct{}, 1), ask: &deltaAsk{},
		conn: newConn(stream, writeBuffer, messageWithin, link.pace().writeStall, &t.traffic, &peer.traffic),
	}
	ctx, cancel := context.WithTimeout(runCtx, deltaLongest)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	fault := &deltaFault{Code: deltaBusy, Retry: busyRetry}
	var err error
	if retry := t.refusal(stream.Conn()); retry > 0 {
		fault.Retry = retry
	} else if !t.peers.refuses(peer) && t.deltas.admit(peer.id) {
		defer t.deltas.dismiss(peer.id)
		fault, err = s.run(ctx, runCtx, cancel)
	}
	if errors.Is(err, ErrProtocol) {
		t.punish(peer, err)
		text := err.Error()
		fault = &deltaFault{Code: deltaMalformed, Text: strings.ToValidUTF8(text[:min(len(text), maxText)], "")}
	} else if err != nil {
		t.cfg.Logger.Debug("delta session ended", slog.Any("peer", peer.id), slog.Any("error", err))
		return
	}
	if fault != nil && s.conn.send(&deltaMessage{Fault: fault}) != nil {
		return
	}
	clean = s.conn.flush() == nil && stream.Close() == nil
}

func (d *deltas) admit(id peer.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.served >= maxDeltaServed || d.sessions[id] >= maxDeltaPerPeer {
		return false
	}
	d.served++
	d.sessions[id]++
	return true
}

func (d *deltas) dismiss(id peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.served--
	if d.sessions[id]--; d.sessions[id] == 0 {
		delete(d.sessions, id)
	}
}

// run reads the question, waits until there is an answer, and gives it: nil
// after a delta was sent, or the fault to send.
func (s *deltaServing) run(ctx, runCtx context.Context, cancel func()) (*deltaFault, error) {
	m := &deltaMessage{}
	if err := s.conn.receiveInto(messageWithin, m); err != nil {
		return nil, err
	}
	if m.Ask == nil {
		return nil, fmt.Errorf("%w: a delta session begins with a question", ErrProtocol)
	}
	s.ask = m.Ask
	s.link = dearer(s.link, s.ask.Link)
	if s.effort = s.ask.Effort; s.effort == codec.Fast && s.link.rank() >= Narrow.rank() {
		s.effort = codec.Strong // this end knows the link better
	}
	if s.ask.Format != s.t.deltas.cfg.Format {
		return &deltaFault{Code: deltaFormat}, nil
	}
	s.t.hub.subscribe(s, s.ask.File, 0)
	defer s.t.hub.unsubscribe(s, []manifest.FileID{s.ask.File})

	taken, broken := make(chan struct{}), make(chan error, 1)
	var reader sync.WaitGroup
	defer reader.Wait()
	if err := s.conn.stream.SetReadDeadline(time.Now().Add(deltaLongest)); err != nil {
		return nil, err
	}
	var answered atomic.Bool
	defer func() {
		answered.Store(true)
		_ = s.conn.stream.SetReadDeadline(time.Now()) // so that listen returns
	}()
	reader.Go(func() {
		broken <- s.listen(taken)
		if !answered.Load() { // what was written last may still be on its way
			cancel()
		}
	})
	fault, err := s.answer(ctx, runCtx, taken)
	select {
	case why := <-broken:
		if err == nil || errors.Is(why, ErrProtocol) {
			return nil, why
		}
	default:
	}
	return fault, err
}

// listen waits for the take, and then for the client to go.
func (s *deltaServing) listen(taken chan<- struct{}) error {
	m := &deltaMessage{}
	if err := s.conn.receiveInto(0, m); err != nil {
		return err
	}
	if m.Take == nil {
		return fmt.Errorf("%w: message that only a server sends", ErrProtocol)
	}
	close(taken)
	if err := s.conn.receiveInto(0, &deltaMessage{}); err != nil {
		return err
	}
	return fmt.Errorf("%w: message after the take", ErrProtocol)
}

// stale implements listener.
func (s *deltaServing) stale(uint32) {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *deltaServing) answer(ctx, runCtx context.Context, taken <-chan struct{}) (*deltaFault, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told waitReason
	var booked func()
	defer func() {
		if booked != nil {
			booked()
			s.t.hub.changed(s.ask.File) // others may be served now
		}
	}()
	for due := true; ; {
		v := s.consider()
		var other peer.ID
		if v.fault == "" && v.wait == "" && s.outside && booked == nil {
			if other, booked = s.t.deltas.link(v.key, s.peer.id, s.ask.Direct || s.t.cfg.Discreet); booked == nil {
				v.wait = waitElsewhere
			}
		}
		switch {
		case v.fault != "":
			return &deltaFault{Code: v.fault}, nil
		case v.wait == "":
			if err := s.say(&deltaMessage{Offer: &v.offer}); err != nil {
				return nil, err
			}
			select {
			case <-taken:
				return s.give(ctx, runCtx, v)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case due || told != v.wait:
			wait := &deltaWait{For: v.wait, Bytes: v.bytes}
			if v.wait == waitElsewhere {
				wait = s.elsewhere(other)
			}
			if err := s.say(&deltaMessage{Wait: wait}); err != nil {
				return nil, err
			}
			told, due = v.wait, false
			timer.Reset(deltaAlive)
		}
		select {
		case <-s.wake:
		case <-timer.C:
			due = told != ""
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *deltaServing) say(m *deltaMessage) error {
	if err := s.conn.send(m); err != nil {
		return err
	}
	return s.conn.flush()
}

// give sends the delta that was offered.
func (s *deltaServing) give(ctx, runCtx context.Context, v verdict) (*deltaFault, error) {
	done, err := s.reserve(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	g := s.t.deltas.cache.arriving(v.key)
	if g == nil {
		g, err = s.t.code(runCtx, v.key, s.peer.id)
	}
	if err != nil || g == nil {
		return &deltaFault{Code: deltaBusy, Retry: busyRetry}, nil
	}
	defer g.release()
	at, err := s.resume(ctx, g, v)
	buf := make([]byte, s.link.pieceBytes())
	for err == nil {
		var n int
		if n, err = s.read(ctx, g, buf, at); err == nil {
			err = s.piece(buf[:n], at)
			at += int64(n)
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		bytes := g.size()
		return nil, s.say(&deltaMessage{End: &deltaEnd{Bytes: uint64(bytes), Sum: g.sum}})
	case errors.Is(err, errWorse):
		return &deltaFault{Code: deltaWorse}, nil
	case ctx.Err() == nil && g.failed():
		return &deltaFault{Code: deltaGone, Text: "the delta could not be coded"}, nil
	}
	return nil, err
}

// reserve takes memory for a piece, as the serving of chunks does.
func (s *deltaServing) reserve(ctx context.Context) (func(), error) {
	own, err := s.peer.serving.acquire(ctx, 2*maxDeltaPiece)
	if err != nil {
		return nil, err
	}
	all, err := s.t.memory.serving.acquire(ctx, 2*maxDeltaPiece)
	if err != nil {
		own()
		return nil, err
	}
	return func() { all(); own() }, nil
}

// pieceBytes is how much of a delta goes behind one message: little on slow
// links, since whoever passes it on waits for the end of each.
func (l Link) pieceBytes() int {
	switch l {
	case LAN:
		return maxDeltaPiece
	case WAN:
		return 16 << 10
	}
	return 4 << 10
}

// resume returns where to begin: where the client's part ends, if it is one of
// this delta.
func (s *deltaServing) resume(ctx context.Context, g *growth, v verdict) (int64, error) {
	p := s.ask.Part
	if p == nil || p.Basis != v.offer.Basis || p.Effort != v.offer.Effort {
		return 0, nil
	}
	h := sha256.New()
	buf := make([]byte, maxDeltaPiece)
	for at, end := int64(0), int64(p.Bytes); at < end; {
		n, err := s.read(ctx, g, buf[:min(int64(len(buf)), end-at)], at)
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		h.Write(buf[:n])
		at += int64(n)
	}
	if manifest.Digest(h.Sum(nil)) != p.Sum {
		return 0, nil
	}
	return int64(p.Bytes), nil
}

// read waits for bytes of g and keeps the session alive meanwhile.
func (s *deltaServing) read(ctx context.Context, g *growth, buf []byte, at int64) (int, error) {
	for {
		inner, cancel := context.WithTimeout(ctx, s.alive())
		n, err := g.readAt(inner, buf, at)
		late := inner.Err() != nil && ctx.Err() == nil && err != nil && !g.failed()
		cancel()
		if !late {
			return n, err
		}
		reason := waitCoding
		if !g.made {
			reason = waitRelay
		}
		if err := s.say(&deltaMessage{Wait: &deltaWait{For: reason}}); err != nil {
			return 0, err
		}
	}
}

// alive is how often the client hears something while a delta is coded.
func (s *deltaServing) alive() time.Duration {
	silence := s.link.pace().silence
	if s.t.cfg.NoProgress > 0 {
		silence = min(silence, s.t.cfg.NoProgress)
	}
	return silence / 3
}

func (s *deltaServing) piece(p []byte, at int64) error {
	if err := s.conn.send(&deltaMessage{Data: &deltaData{Offset: uint64(at), Bytes: uint32(len(p))}}); err != nil {
		return err
	}
	if _, err := s.conn.out.Write(p); err != nil {
		return err
	}
	s.t.deltas.totals.sent.Add(uint64(len(p)))
	return s.conn.flush()
}
