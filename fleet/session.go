package fleet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of one session.
const (
	maxTurns        = 64
	turnRecordBytes = 64 << 10 // of records in one turn
	maxSessionBytes = 32 << 20 // taken in
)

// session is one reconciliation over one stream, the same on both sides: each
// turn of the other side is answered by one turn, until there is nothing to
// say. It belongs to one goroutine.
type session struct {
	f      *Fleet
	with   peer.ID
	inside bool // the other side is a member of the site
	pace   pace
	stream network.Stream
	in     *bufio.Reader // of stream, through a PatientReader

	view   vector // of the table when the session began
	digest []byte // of view
	seen   uint64 // Table.changes for which view holds

	fresh  []entry // what has changed here since the last session; nil if that is unknown or much
	opens  bool    // ranges may be compared, if tables differ
	opened bool    // they were

	theirs  []byte        // the other side's first digest
	pause   time.Duration // that the other side wants
	greeted bool          // our digest is sent
	salt    []byte        // nil until somebody has sent sections
	waiting bool          // our last turn asks for an answer

	asked  map[rowKey]bool // wanted, once
	wishes [][]byte        // wanted, not asked for yet
	queue  []rowKey        // of records to send
	queued map[rowKey]bool // ever in queue

	sent, taken int  // bytes
	spent       bool // the budget ended before the queue
	cut         bool // not everything was said
}

func (f *Fleet) newSession(stream network.Stream) *session {
	conn := stream.Conn()
	s := &session{
		f: f, with: conn.RemotePeer(), inside: f.inside(conn), stream: stream,
		asked: make(map[rowKey]bool), queued: make(map[rowKey]bool),
	}
	s.pace = f.paceOf(s.inside)
	s.in = bufio.NewReader(parley.PatientReader{Stream: stream, Silence: s.pace.silence})
	s.view, s.digest, s.seen = f.config.Table.vector()
	s.news()
	return s
}

// begin sends the first turn.
func (s *session) begin() error {
	out := &turn{Mesh: s.f.mesh, Pause: s.pauseSeconds(), Digest: s.digest, Haves: s.fresh}
	s.greeted = true
	return s.send(out)
}

// news finds out what to tell: what has changed here since the last session
// with this peer. Where that does not make tables equal although it is little,
// they differ for good, since one of them is full: then ranges are compared only
// now and then.
func (s *session) news() {
	agreed, compared, ok := s.f.contacts.agreed(s.with)
	var stamps []stamp
	if ok {
		stamps, ok = s.f.config.Table.since(agreed, s.with, maxHaves)
	}
	s.opens = !ok || time.Since(compared) >= s.pace.compare
	for _, stamp := range stamps {
		s.fresh = append(s.fresh, entryOf(stamp))
	}
}

// pauseSeconds is the pause that this node wants, 0 for what is usual inside of
// a site.
func (s *session) pauseSeconds() uint32 { return uint32(s.pace.pause / time.Second) }

// converse answers the other side until both have nothing to say. Errors that
// are the other side's fault wrap [ErrProtocol], [ErrRecord] or
// manifest.ErrFormat.
func (s *session) converse() error {
	for range maxTurns {
		in, err := s.receive()
		if errors.Is(err, io.EOF) && !s.waiting {
			return nil
		}
		if err != nil {
			return parley.CutShort(err)
		}
		owed := in.asks() || !s.greeted
		out, err := s.answer(in)
		if err != nil {
			return err
		}
		if !owed && !out.asks() && len(out.Records) == 0 {
			return nil
		}
		if err := s.send(out); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d turns: %w", maxTurns, ErrProtocol)
}

// answer works out what to say to in.
func (s *session) answer(in *turn) (*turn, error) {
	out := new(turn)
	if err := s.take(in.Records); err != nil {
		return nil, err
	}
	switch {
	case s.theirs == nil && len(in.Digest) > 0:
		if err := s.greet(in, out); err != nil {
			return nil, err
		}
	case s.theirs == nil || len(in.Digest) > 0 || len(in.Haves) > 0:
		return nil, fmt.Errorf("digest at the wrong place: %w", ErrProtocol)
	}
	if err := s.compare(in, out); err != nil {
		return nil, err
	}
	for _, key := range in.Wants {
		s.enqueue(rowKey(key))
	}
	n := min(len(s.wishes), maxWants)
	out.Wants, s.wishes = s.wishes[:n:n], s.wishes[n:]
	s.give(out)
	return out, nil
}

// greet deals with the other side's first digest.
func (s *session) greet(in, out *turn) error {
	switch {
	case !s.greeted && !bytes.Equal(in.Mesh, s.f.mesh):
		return errOtherMesh
	case !s.greeted && len(in.Sections)+len(in.Wants) > 0:
		return fmt.Errorf("sections or wants before a digest of this side: %w", ErrProtocol)
	}
	s.theirs, s.pause = in.Digest, time.Duration(min(in.Pause, maxPauseSeconds))*time.Second
	var taken []stamp
	for _, e := range in.Haves {
		if s.want(e) {
			taken = append(taken, e.stamp())
		}
	}
	then := s.digest
	if len(taken) > 0 {
		then = s.view.with(taken).digest()
	}
	equal := bytes.Equal(then, s.theirs)
	if s.greeted {
		if !equal && len(in.Sections) == 0 {
			s.open(out)
		}
		return nil
	}
	s.greeted = true
	out.Digest, out.Pause = then, s.pauseSeconds()
	if equal {
		return nil
	}
	if out.Haves = s.newsBeyond(taken); len(out.Haves) == 0 {
		s.open(out)
	}
	return nil
}

// newsBeyond are our news without what the other side has newer.
func (s *session) newsBeyond(taken []stamp) []entry {
	var out []entry
	for _, e := range s.fresh {
		overtaken := false
		for _, t := range taken {
			overtaken = overtaken || t.key == rowKey(e.Key)
		}
		if !overtaken {
			out = append(out, e)
		}
	}
	return out
}

// open begins to compare ranges, if it is time.
func (s *session) open(out *turn) {
	if !s.opens {
		return
	}
	s.salt = make([]byte, saltBytes)
	_, _ = rand.Read(s.salt) // never fails, see crypto/rand
	out.Salt = s.salt
	out.Sections = []section{s.view.section(nil, s.salt)}
}

// compare goes through the ranges in which the other side differs.
func (s *session) compare(in, out *turn) error {
	if len(in.Sections) == 0 {
		return nil
	}
	if len(in.Salt) > 0 {
		s.salt = in.Salt
	}
	s.opened = true
	if s.salt == nil {
		return fmt.Errorf("sections before a salt: %w", ErrProtocol)
	}
	for i := range in.Sections {
		theirs := &in.Sections[i]
		for nibble, part := range theirs.Parts {
			prefix := append(bytes.Clone(theirs.Prefix), byte(nibble))
			ours := s.view.below(prefix)
			switch {
			case len(part) == 0:
				s.offer(ours, nil)
			case len(ours) > 0 && bytes.Equal(part, ours.part(s.salt)):
			case len(out.Sections) == maxSections:
				s.cut = true
			default:
				out.Sections = append(out.Sections, s.view.section(prefix, s.salt))
			}
		}
		if len(theirs.Parts) == 0 {
			for _, e := range theirs.Entries {
				s.want(e)
			}
			s.offer(s.view.below(theirs.Prefix), theirs.Entries)
		}
	}
	return nil
}

// offer queues what is newer here than in entries, or missing there.
func (s *session) offer(ours vector, entries []entry) {
	theirs := make(map[rowKey]entry, len(entries))
	for _, e := range entries {
		theirs[rowKey(e.Key)] = e
	}
	for _, stamp := range ours {
		if e, ok := theirs[stamp.key]; !ok || newer(stamp.epoch, stamp.sequence, e.Epoch, e.Sequence) {
			s.enqueue(stamp.key)
		}
	}
}

// want plans to ask for a record if it would be taken, once.
func (s *session) want(e entry) bool {
	stamp := e.stamp()
	if s.asked[stamp.key] || len(s.asked) >= MaxRows || !s.f.config.Table.wants(stamp.key, e.Epoch, e.Sequence, s.with) {
		return false
	}
	s.asked[stamp.key] = true
	s.wishes = append(s.wishes, bytes.Clone(stamp.key[:]))
	return true
}

func (s *session) enqueue(key rowKey) {
	if !s.queued[key] && !s.asked[key] && len(s.queued) < MaxRows {
		s.queued[key] = true
		s.queue = append(s.queue, key)
	}
}

// give moves records into out, as far as turn and budget reach.
func (s *session) give(out *turn) {
	bytesNow := 0
	for len(s.queue) > 0 && len(out.Records) < maxRecords && !s.spent {
		r := s.f.config.Table.get(s.queue[0])
		if r != nil {
			if bytesNow > 0 && bytesNow+len(r.data) > turnRecordBytes {
				break
			}
			if s.spent = s.sent+len(r.data) > s.pace.budget; s.spent {
				s.cut = true
				break
			}
			s.sent += len(r.data)
			bytesNow += len(r.data)
			out.Records = append(out.Records, carried{Age: seconds(r.lived(time.Now()) + r.off), Record: r.data})
		}
		s.queue = s.queue[1:]
	}
	out.More = len(s.queue) > 0 && !s.spent
}

// take keeps records that the other side has sent.
func (s *session) take(records []carried) error {
	for _, c := range records {
		r, err := verify(s.f.config.Table.config.Mesh, c.Record)
		if err != nil {
			return err
		}
		v, row := s.f.config.Table.put(r, c.Record, time.Duration(c.Age)*time.Second, s.with, s.inside)
		switch v {
		case kept:
			s.f.contacts.changed(s.f, row)
		case own:
			s.f.outgrow(r.Epoch)
		}
	}
	return nil
}

// send writes a turn.
func (s *session) send(out *turn) error {
	block, err := manifest.Encode(out)
	if err != nil {
		return err
	}
	s.waiting = out.asks() || s.theirs == nil
	if err := s.stream.SetWriteDeadline(time.Now().Add(s.pace.silence)); err != nil {
		return err
	}
	_, err = s.stream.Write(s.f.packer.frame(block.Data))
	return err
}

// receive reads a turn. io.EOF means that the other side has ended the session.
func (s *session) receive() (*turn, error) {
	data, err := s.f.packer.read(s.in)
	if err != nil {
		return nil, err
	}
	if s.taken += len(data); s.taken > maxSessionBytes {
		return nil, fmt.Errorf("more than %d bytes in one session: %w", maxSessionBytes, ErrProtocol)
	}
	return decodeTurn(data)
}

// run holds the conversation after begin, and ends the stream.
func (s *session) run(ctx context.Context, begin func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = s.stream.Reset() })
	defer stop()
	err := begin()
	if err == nil {
		err = s.converse()
	}
	switch {
	case err == nil:
		_ = s.stream.Close() // the other side may have closed first, having heard everything
		return nil
	case errors.Is(err, errOtherMesh):
		_ = s.stream.ResetWithError(network.StreamGated)
	case atFault(err):
		_ = s.stream.ResetWithError(network.StreamProtocolViolation)
	default:
		_ = s.stream.Reset()
	}
	return errors.Join(ctx.Err(), err)
}

// atFault says whether err is the other side's doing.
func atFault(err error) bool {
	return errors.Is(err, ErrProtocol) || errors.Is(err, ErrRecord) || errors.Is(err, manifest.ErrFormat)
}
