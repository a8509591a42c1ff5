package transfer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	maxDeltaAsked = 4               // peers that owe the first answer, at once
	deltaGrace    = 2 * time.Second // for better offers, while peers have not answered
)

// suitor is a peer that was asked for a delta. The goroutine of court owns it,
// but for the session until its answer.
type suitor struct {
	id      peer.ID
	link    Link
	effort  codec.Effort
	session *deltaSession
	answer  *deltaOffer
	wait    waitReason
	has     uint64    // of what it waits for; see deltaWait
	refusal deltaCode // any, and so no offer will come
	err     error     // likewise
	since   time.Time // of the answer
	sent    time.Time // when it first said that another peer has it
	stop    func()    // ends the asking
}

// heard is what one session has to say.
type heard struct {
	id      peer.ID
	session *deltaSession
	m       *deltaMessage // nil if it ended
	err     error
}

// court asks peers, several at once, until one is to be taken:
//
//	an offer over the cheapest link, the largest effort, the fastest peer; while
//	    others have not answered it waits a little, while a peer on a cheaper
//	    link is fetching the file itself it waits as long as its patience lasts,
//	    which begins anew whenever more has come there
//	a *NoDeltaError once every peer at hand has refused and one of them holds
//	    the file whole, or patience is over
//
// All other sessions are closed; the caller closes the one returned.
func (r *deltaRun) court(ctx context.Context, missing uint64, p *part) (*suitor, error) {
	inner, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	suitors := map[peer.ID]*suitor{}
	var chosen *suitor
	defer func() {
		cancel()
		asking.Wait()
		for _, s := range suitors {
			if s.stop(); s.session != nil && s != chosen {
				s.session.close()
			}
		}
	}()
	news := make(chan heard)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.approach(inner, suitors, missing, p, news, &asking)
		s, again, err := r.decide(suitors, time.Now())
		if err != nil {
			return nil, err
		}
		if s != nil {
			chosen, r.since = s, time.Time{}
			return s, nil
		}
		timer.Reset(again)
		r.report(len(suitors), 0)
		select {
		case h := <-news:
			r.listen(suitors[h.id], h)
			if m := h.m; m != nil && m.Wait != nil && m.Wait.For == waitElsewhere {
				asking.Go(func() { r.reach(inner, m.Wait) })
			}
		case <-timer.C:
		case <-r.turned:
			if err := r.look(); err != nil {
				return nil, err
			}
		case <-r.scout.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// approach asks further peers, as many as may be asked at once.
func (r *deltaRun) approach(ctx context.Context, suitors map[peer.ID]*suitor, missing uint64, p *part, news chan<- heard, asking *sync.WaitGroup) {
	unanswered, open := 0, 0
	var idle *suitor // that holds nothing of the file, and has said so first
	for id, s := range suitors {
		switch {
		case s.err != nil && !r.t.connected(id):
			delete(suitors, id) // when it is back it is asked anew
			continue
		case s.err != nil || s.refusal != "":
			continue
		case s.answer == nil && s.wait == "":
			unanswered++
		case s.wait == waitNotHeld && (idle == nil || s.since.Before(idle.since)):
			idle = s
		}
		open++
	}
	ready, _ := r.scout.ready(func(id peer.ID) bool {
		s := suitors[id]
		return s != nil && s.err == nil // one that failed is tried again after its pause
	})
	slices.SortStableFunc(ready, func(a, b peer.ID) int {
		return cmp.Compare(r.t.linkTo(a).rank(), r.t.linkTo(b).rank())
	})
	if len(ready) > 0 && open >= maxFetchSessions && idle != nil {
		idle.stop()
		delete(suitors, idle.id)
		r.scout.ended(idle.id, nil, idle.link)
		open--
	}
	for _, id := range ready[:min(len(ready), max(min(maxDeltaAsked-unanswered, maxFetchSessions-open), 0))] {
		inner, stop := context.WithCancel(ctx)
		s := &suitor{id: id, link: r.t.linkTo(id), stop: stop}
		if s.effort = r.effort(id, s.link, missing); p != nil {
			s.effort = p.key.effort // work that is done already
		}
		suitors[id] = s
		if s.refusal = r.refused[id]; s.refusal != "" {
			continue
		}
		direct := r.direct
		asking.Go(func() { r.ask(inner, id, s.effort, direct, p, news) })
	}
}

// effort returns what to ask a peer for. A rate that was measured in this run
// decides. One from earlier may be of another time, before the car left the
// garage: it never stands against a delta, and only where very much is missing
// is the fast coder the one to begin with.
func (r *deltaRun) effort(id peer.ID, l Link, missing uint64) codec.Effort {
	if rate, ok := r.rates[id]; ok && !r.t.metered(id) {
		return deltaEffort(l, rate, missing)
	}
	if missing < switchFast || r.t.metered(id) {
		return codec.Strong
	}
	rate, _ := r.t.peers.speed(id)
	return max(deltaEffort(l, rate, missing), codec.Fast)
}

// ask opens a session and passes on what the peer says, up to an offer or the
// end.
func (r *deltaRun) ask(ctx context.Context, id peer.ID, e codec.Effort, direct bool, p *part, news chan<- heard) {
	tell := func(h heard) bool {
		h.id = id
		select {
		case news <- h:
			return true
		case <-ctx.Done():
			return false
		}
	}
	s, err := r.t.openDelta(ctx, id, r.scout.use)
	if err != nil {
		tell(heard{err: err})
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.stream.Reset() })
	defer stop()
	ask := &deltaAsk{Version: Version, Format: r.t.deltas.cfg.Format, File: r.id, Bases: r.job.Bases, Link: s.link, Effort: e, Direct: direct}
	if p != nil {
		bytes, sum := p.growth.part()
		if bytes > 0 {
			ask.Part = &deltaPart{Basis: uint32(p.basis), Effort: p.key.effort, Bytes: uint64(bytes), Sum: sum}
		}
	}
	err = s.say(&deltaMessage{Ask: ask})
	for patience := s.silence(); err == nil; patience = 3 * deltaAlive {
		m := &deltaMessage{}
		if err = stalled(s.conn.receiveInto(patience, m)); err != nil {
			break
		}
		switch {
		case m.Wait != nil:
			if !tell(heard{m: m}) {
				err = context.Cause(ctx)
			}
			continue
		case m.Offer != nil && int(m.Offer.Basis) < len(r.job.Bases) && e != codec.Light:
			if stop() && tell(heard{session: s, m: m}) {
				return // the session is the listener's now
			}
			err = context.Cause(ctx)
		case m.Fault != nil:
			tell(heard{m: m})
			s.close()
			return
		default:
			err = fmt.Errorf("%w: no answer to the question", ErrProtocol)
		}
	}
	if ctx.Err() == nil {
		r.t.punish(s.peer, err)
	}
	s.close()
	tell(heard{err: err})
}

// listen takes what a session says.
func (r *deltaRun) listen(s *suitor, h heard) {
	if s == nil {
		if h.session != nil {
			h.session.close()
		}
		return // it was let go meanwhile
	}
	if s.since = time.Now(); r.since.IsZero() {
		r.since = s.since
	}
	switch {
	case h.err != nil:
		s.err, s.wait = h.err, ""
		r.scout.ended(s.id, h.err, s.link)
		r.t.cfg.Logger.Debug("peer gives no answer about a delta", slog.Any("peer", s.id), slog.Any("error", h.err))
	case h.m.Offer != nil:
		s.session, s.answer, s.wait = h.session, h.m.Offer, ""
	case h.m.Wait != nil:
		if s.wait = h.m.Wait.For; s.wait == waitElsewhere && s.sent.IsZero() {
			s.sent = s.since
		}
		if s.wait == waitComing && h.m.Wait.Bytes > s.has {
			s.has, r.since = h.m.Wait.Bytes, s.since // it does come: patience begins anew
		}
	case h.m.Fault.Code == deltaBusy:
		s.err, s.wait = &busyError{min(max(time.Duration(h.m.Fault.Retry)*time.Second, time.Second), 10*time.Minute)}, ""
		r.scout.ended(s.id, s.err, s.link)
	default:
		s.refusal, s.wait = h.m.Fault.Code, ""
	}
}

// decide says whose offer to take, or when to look again at the latest, or why
// there will be none.
func (r *deltaRun) decide(suitors map[peer.ID]*suitor, now time.Time) (*suitor, time.Duration, error) {
	var best *suitor
	unanswered, coming, failing := 0, false, false
	var reasons []DeltaReason
	for _, s := range suitors {
		switch {
		case s.refusal == deltaPlain:
			return nil, 0, &NoDeltaError{Reason: DeltaPlainFaster} // it comes from there, at once
		case s.refusal != "":
			reasons = append(reasons, s.refusal.reason())
		case s.answer != nil:
			if best == nil || s.better(best, r.t) {
				best = s
			}
		case s.err != nil:
			failing = true
		case s.wait == "":
			unanswered++
		case s.wait == waitElsewhere:
			coming = true
			if now.Sub(s.sent) > s.link.relayGrace() {
				r.direct = true
				s.stop()
				s.err, s.wait = errRelay, ""
				r.scout.again(s.id)
			}
		case s.wait == waitComing:
			coming = true
		}
	}
	impatient := !r.since.IsZero() && now.Sub(r.since) >= r.job.Patience
	if best != nil {
		nearer := slices.ContainsFunc(values(suitors), func(s *suitor) bool {
			return s.wait == waitComing && s.link.rank() < best.link.rank()
		})
		early := unanswered > 0 && now.Sub(best.since) < deltaGrace
		if impatient || !nearer && !early {
			return best, 0, nil
		}
		return nil, deltaGrace, nil
	}
	if r.mute(suitors) > 0 {
		reasons = append(reasons, DeltaUnsupported)
	}
	if impatient && (coming || failing || len(reasons) > 0) {
		return nil, 0, &NoDeltaError{Reason: bestReason(append(reasons, DeltaNobodyReady))}
	}
	if unanswered == 0 && !coming && len(reasons) > 0 && r.approached(suitors) {
		return nil, 0, &NoDeltaError{Reason: bestReason(reasons)}
	}
	return nil, protocolsAgain, nil
}

func values(m map[peer.ID]*suitor) []*suitor {
	out := make([]*suitor, 0, len(m))
	for _, s := range m {
		out = append(out, s)
	}
	return out
}

// better says whether s's offer is to be preferred over that of o.
func (s *suitor) better(o *suitor, t *Transfer) bool {
	rateS, _ := t.peers.speed(s.id)
	rateO, _ := t.peers.speed(o.id)
	known := func(s *suitor) int {
		if s.answer.Bytes > 0 {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(o.link.rank(), s.link.rank()),
		cmp.Compare(o.answer.Basis, s.answer.Basis),
		cmp.Compare(s.answer.Effort, o.answer.Effort),
		cmp.Compare(known(s), known(o)),
		cmp.Compare(rateS, rateO),
		cmp.Compare(o.id, s.id)) > 0
}

// reason translates a refusal.
func (c deltaCode) reason() DeltaReason {
	switch c {
	case deltaNoBasis:
		return DeltaNoBasis
	case deltaWorse:
		return DeltaWorse
	case deltaPlain:
		return DeltaPlainFaster
	case deltaFormat:
		return DeltaUnsupported
	}
	return DeltaFailed
}

// bestReason returns the one that tells most.
func bestReason(reasons []DeltaReason) DeltaReason {
	for _, r := range []DeltaReason{DeltaWorse, DeltaFailed, DeltaNoBasis, DeltaNobodyReady} {
		if slices.Contains(reasons, r) {
			return r
		}
	}
	return DeltaUnsupported
}

// mute counts peers that are known not to speak the protocol.
func (r *deltaRun) mute(suitors map[peer.ID]*suitor) (n int) {
	for _, id := range r.t.cfg.Host.Network().Peers() {
		if s := suitors[id]; (s == nil || s.err != nil) && r.may(id) && !r.scout.speaks(id) && r.t.speaksTransfer(id) {
			n++
		}
	}
	return n
}

// approached says whether every connected peer that speaks the protocol was
// asked.
func (r *deltaRun) approached(suitors map[peer.ID]*suitor) bool {
	return !slices.ContainsFunc(r.t.cfg.Host.Network().Peers(), func(id peer.ID) bool {
		return suitors[id] == nil && r.may(id) && r.scout.speaks(id) && r.t.peers.pausedUntil(id).IsZero() && !r.t.closedTo(id, r.scout.use)
	})
}

// speaksTransfer says whether the peer is known to give chunks.
func (t *Transfer) speaksTransfer(id peer.ID) bool {
	common, err := t.cfg.Host.Peerstore().SupportsProtocols(id, ProtocolID)
	return err == nil && len(common) > 0
}

// connected says whether there is a connection to the peer.
func (t *Transfer) connected(id peer.ID) bool { return len(t.cfg.Host.Network().ConnsToPeer(id)) > 0 }
