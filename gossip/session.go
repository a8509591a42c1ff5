package gossip

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Bounds of one session.
const (
	maxTurns = 256
	// answerBytes is how many bytes of updates one turn carries at most, unless
	// a single update is longer.
	answerBytes = 1 << 20
)

// session is one reconciliation over one stream, the same on both sides: each
// turn of the other side is answered by one turn, until there is nothing to
// say. It belongs to one goroutine.
type session struct {
	g      *Gossip
	with   peer.ID
	stream network.Stream
	in     *bufio.Reader // of stream, through a PatientReader

	seen    uint64 // mark of meetings at which vector was taken
	vector  vector
	digest  []byte // of vector
	theirs  []byte // the other side's digest; nil if it has not sent one
	greeted bool   // our digest is sent
	salt    []byte // nil until somebody has sent sections
	patient bool   // the other side only asks: what is being learnt just now may be waited for

	wishes  []trust.Fingerprint // to ask for, next turn
	asked   []trust.Fingerprint // in our last turn
	wanting bool                // our last turn awaits an answer

	compared map[trust.Fingerprint]bool // publishers of which a difference has been dealt with, once
	offers   []ask                      // what the other side lacks and has not asked for, with what it has
	shown    map[trust.Fingerprint]bool // publishers whose head is or was offered as a contradiction

	whole     map[trust.Fingerprint]bool   // publishers of which everything is asked for, nil for none
	changed   map[trust.Fingerprint]bool   // publishers that this session changed
	granted   map[trust.Fingerprint]uint64 // publishers of which asks were answered, with the mark of meetings before
	taken     int                          // bytes taken in
	unapplied []error                      // what the state refused without blaming the other side
	retry     bool                         // some of it may be accepted next time
}

// outgoing is a turn with its updates.
type outgoing struct {
	turn
	updates []trust.Update
	bytes   int
}

func (g *Gossip) newSession(stream network.Stream) *session {
	return &session{
		g: g, with: stream.Conn().RemotePeer(), stream: stream, in: bufio.NewReader(parley.PatientReader{Stream: stream, Silence: g.params.turnTimeout}),
		compared: make(map[trust.Fingerprint]bool), shown: make(map[trust.Fingerprint]bool), granted: make(map[trust.Fingerprint]uint64), changed: make(map[trust.Fingerprint]bool),
	}
}

// begin sends the first turn: a digest, or asks for the given publishers.
func (s *session) begin(publishers []trust.Fingerprint, hurry bool) error {
	var out outgoing
	if len(publishers) > 0 {
		s.wishes, out.Hurry = publishers, hurry
		s.ask(&out)
	} else {
		s.look()
		s.greet(&out)
	}
	return s.send(&out)
}

// converse answers the other side until both have nothing to say. Errors that
// are the other side's fault wrap [ErrProtocol] or satisfy trust.Hostile.
func (s *session) converse(ctx context.Context) error {
	for range maxTurns {
		in, err := s.receive()
		if errors.Is(err, io.EOF) && !s.wanting {
			return nil
		}
		if err != nil {
			return parley.CutShort(err)
		}
		for range in.Updates {
			if err := s.takeUpdate(ctx); err != nil {
				return parley.CutShort(err)
			}
		}
		owed := in.wants() || (len(in.Digest) > 0 && !s.greeted)
		out, err := s.answer(ctx, in)
		if err != nil {
			return err
		}
		if !owed && !out.wants() && out.Updates == 0 {
			return nil
		}
		if err := s.send(out); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d turns: %w", maxTurns, ErrProtocol)
}

// look takes the vector, once.
func (s *session) look() {
	if s.digest == nil {
		s.seen = s.g.meets.seen()
		s.vector = takeVector(s.g.config.State)
		s.digest = s.vector.digest()
	}
}

func (s *session) greet(out *outgoing) {
	if !s.greeted {
		out.Digest, s.greeted = s.digest, true
	}
}

// answer works out what to say to in.
func (s *session) answer(ctx context.Context, in *turn) (*outgoing, error) {
	out := new(outgoing)
	s.patient = s.digest == nil && len(in.Digest) == 0
	if len(in.Digest) > 0 {
		s.look()
		s.theirs = in.Digest
		s.greet(out)
		if len(in.Sections) == 0 && !s.g.memory.settled(s.with, s.digest, s.theirs) {
			s.salt = make([]byte, saltBytes)
			_, _ = rand.Read(s.salt) // never fails, see crypto/rand
			out.Salt = s.salt
			out.Sections = []section{s.vector.section(nil, s.salt)}
		}
	}
	if err := s.compare(in, out); err != nil {
		return nil, err
	}
	s.give(ctx, in, out)
	if err := s.settleAsks(in); err != nil {
		return nil, err
	}
	s.ask(out)
	s.offer(out)
	return out, nil
}

// compare goes through the ranges in which the other side differs.
func (s *session) compare(in *turn, out *outgoing) error {
	if len(in.Sections) == 0 {
		return nil
	}
	if len(in.Salt) > 0 {
		s.salt = in.Salt
	}
	if s.salt == nil || s.theirs == nil {
		return fmt.Errorf("sections before a salt or a digest: %w", ErrProtocol)
	}
	for i := range in.Sections {
		theirs := &in.Sections[i]
		for nibble, part := range theirs.Parts {
			prefix := append(bytes.Clone(theirs.Prefix), byte(nibble))
			ours := s.vector.below(prefix)
			if len(part) == 0 || len(ours) == 0 || bytes.Equal(part, ours.part(s.salt)) {
				continue // one side pins nothing here, or nothing differs
			}
			if len(out.Sections) < maxSections {
				out.Sections = append(out.Sections, s.vector.section(prefix, s.salt))
			}
		}
		for _, e := range theirs.Entries {
			s.compareEntry(e)
		}
	}
	return nil
}

func (s *session) compareEntry(theirs entry) {
	ours, pinned := s.vector.find(theirs.Publisher)
	if !pinned || s.compared[theirs.Publisher] || bytes.Equal(theirs.Digest, vector{ours}.part(s.salt)) {
		return
	}
	s.compared[theirs.Publisher] = true
	have := theirs.Have.have()
	if newer(have, ours.have) {
		if s.g.learn.underway(theirs.Publisher, s.with) {
			s.retry = true // it is on its way already; should that fail, ask next time
		} else {
			s.wishes = append(s.wishes, theirs.Publisher)
		}
	}
	if newer(ours.have, have) {
		s.offers = append(s.offers, ask{Publisher: theirs.Publisher, Have: theirs.Have})
	}
	if same(have, ours.have) {
		s.contradict(ours)
	}
}

// contradict plans to show the other side, once, the head that is held here:
// it holds another one of the same version, and only the publisher can have
// signed both. Each side keeps its own, and the evidence.
func (s *session) contradict(ours standing) {
	if len(ours.timestamp) > 0 && !s.shown[ours.publisher] {
		s.shown[ours.publisher] = true
		s.offers = append(s.offers, ask{Publisher: ours.publisher, Have: versionsOf(ours.have)})
	}
}

// offer moves offers into out, as far as they fit.
func (s *session) offer(out *outgoing) {
	for len(s.offers) > 0 {
		o := s.offers[0]
		ours, _ := s.vector.find(o.Publisher)
		if have := o.Have.have(); !same(have, ours.have) {
			if !s.grant(o.Publisher, have, out) {
				break
			}
		} else if len(out.updates) == maxUpdates {
			break
		} else {
			out.add(trust.Update{Publisher: o.Publisher, Timestamp: ours.timestamp})
		}
		s.offers = s.offers[1:]
	}
	out.More = len(s.offers) > 0
}

// grant adds what somebody with have lacks; false if it does not fit.
func (s *session) grant(publisher trust.Fingerprint, have trust.Have, out *outgoing) bool {
	if len(out.updates) == maxUpdates {
		return false
	}
	update, ok, err := s.g.config.State.Update(publisher, have)
	if err != nil && !errors.Is(err, trust.ErrUnknown) {
		s.g.config.Logger.Warn("no update to give", slog.String("publisher", publisher.String()), slog.String("peer", s.with.String()), slog.Any("error", err))
	}
	if err != nil || !ok {
		return true
	}
	if len(out.updates) > 0 && out.bytes+update.Bytes() > answerBytes {
		return false
	}
	out.add(update)
	return true
}

func (o *outgoing) add(u trust.Update) {
	o.updates = append(o.updates, u)
	o.bytes += u.Bytes()
	o.Updates = len(o.updates)
}

// give answers the asks of in, in order, as far as they fit.
func (s *session) give(ctx context.Context, in *turn, out *outgoing) {
	limit := learnWaitLimit
	if in.Hurry {
		limit = hurryLimit
	}
	patience := time.Now().Add(min(limit, s.g.params.turnTimeout/2))
	for _, a := range in.Asks {
		if s.patient {
			s.g.learn.wait(ctx, a.Publisher, patience, in.Hurry)
		}
		seen := s.g.meets.seen()
		if !s.grant(a.Publisher, a.Have.have(), out) {
			return
		}
		s.granted[a.Publisher] = seen
		out.Seen++
	}
}

// settleAsks works out which of our asks in dealt with. The rest is asked for
// again, unless none was: then the other side does not want to.
func (s *session) settleAsks(in *turn) error {
	if in.Seen > len(s.asked) {
		return fmt.Errorf("%d asks answered, %d were open: %w", in.Seen, len(s.asked), ErrProtocol)
	}
	if in.Seen > 0 {
		s.wishes = append(s.asked[in.Seen:len(s.asked):len(s.asked)], s.wishes...)
	}
	s.asked = nil
	return nil
}

// ask moves wishes into out.
func (s *session) ask(out *outgoing) {
	n := min(len(s.wishes), maxAsks)
	s.asked, s.wishes = s.wishes[:n:n], s.wishes[n:]
	for _, publisher := range s.asked {
		have := s.g.config.State.Have(publisher)
		if s.whole[publisher] {
			have = trust.Have{Root: have.Root}
		}
		out.Asks = append(out.Asks, ask{Publisher: publisher, Have: versionsOf(have)})
	}
}

// askWhole plans to ask for everything of a publisher, since what came builds
// on something else than what is held; once, since everything builds on nothing.
func (s *session) askWhole(publisher trust.Fingerprint, why error) error {
	if s.whole[publisher] {
		return fmt.Errorf("update of %s: %w: %w", publisher, ErrProtocol, why)
	}
	if s.whole == nil {
		s.whole = make(map[trust.Fingerprint]bool)
	}
	s.whole[publisher] = true
	s.wishes = append(s.wishes, publisher)
	return nil
}

// apply gives an update to the state. Only what is the other side's fault
// ends the session.
func (s *session) apply(u trust.Update) error {
	changed, err := s.g.config.State.Apply(u.Publisher, u)
	switch {
	case err == nil:
		if changed {
			s.changed[u.Publisher] = true
			s.g.config.OnChange(u.Publisher)
		}
	case trust.Hostile(err):
		return fmt.Errorf("update of %s: %w", u.Publisher, err)
	case errors.Is(err, trust.ErrPartial):
		return s.askWhole(u.Publisher, err)
	case errors.Is(err, trust.ErrUnknown): // not pinned, or no longer
	case errors.Is(err, trust.ErrRollback): // somebody else was faster
	default:
		s.unapplied = append(s.unapplied, fmt.Errorf("update of %s: %w", u.Publisher, err))
		if errors.Is(err, trust.ErrEquivocation) {
			s.look()
			ours, _ := s.vector.find(u.Publisher)
			s.contradict(ours)
		} else if !errors.Is(err, trust.ErrExpired) && !errors.Is(err, trust.ErrPinned) {
			s.retry = true
		}
	}
	return nil
}
