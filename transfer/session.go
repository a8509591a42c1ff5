package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	openWithin    = time.Minute // for a stream to a connected peer
	starvedRetry  = 20 * time.Millisecond
	progressBytes = 4 << 10 // fewer bytes than these are no progress
)

// session is the client's end of one stream: one peer asked for the chunks of
// one release. One goroutine asks, one reads, one stores.
type session struct {
	t    *Transfer
	plan *plan
	peer *peerRecord
	conn *conn
	pace pace
	wake chan struct{} // capacity 1: the asker looks again

	sent    time.Time // when hello went out; set before the goroutines start
	outside bool      // the peer is not of this site; likewise
	seed    uint64    // see mine; set by join

	// The rest belongs to plan.mu.
	has        []uint64  // slots that the peer holds, a bit each
	useful     int       // of has, slots that are missing here
	count      int       // of has
	heard      bool      // the peer has said what it holds
	claims     []uint64  // slots that the peer has asked others for; nil for none
	claimCount int       // of claims
	claimBytes uint64    // see coming
	claimFresh time.Time // when claimBytes last changed
	claimKept  time.Time // when a claim last came true, or the first was made
	fetches    bool      // the peer has asked others outside for chunks
	cursor     int       // slot to go on from
	window     window
	expected   []expected     // in the order in which they must come
	asked      int            // bytes of chunks in expected, dropped ones left out
	partial    int            // of asked, bytes of the first that came
	storing    int            // chunks on their way to the store
	parts      map[int][]byte // of frames, that the peer was told of
	cancels    []int          // slots to be cancelled
	greeted    bool           // hello came
	busy       bool           // the reader waits for the own store, not for the peer
	since      int            // bytes since progressed
	progressed time.Time
	completed  time.Time // when the last chunk came
}

// expected is a chunk asked for.
type expected struct {
	slot     int
	reserved int // bytes of memory
	at       time.Time
	dropped  bool // not wanted any more: another peer was faster
}

// arrival is a chunk's frame on its way to the store.
type arrival struct {
	expected
	buf *[]byte
}

// openStream opens a stream to a connected peer, unless its link is closed for
// the use.
func (t *Transfer) openStream(ctx context.Context, id peer.ID, speak protocol.ID, use Use) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	stream, err := t.cfg.Host.NewStream(network.WithNoDial(ctx, "transfer asks connected peers"), id, speak)
	if err != nil {
		return nil, err
	}
	err = stream.Scope().SetService(serviceName)
	if err == nil {
		err = t.admitPath(stream.Conn(), use)
	}
	if err != nil {
		_ = stream.Reset()
		return nil, err
	}
	return t.paced(stream, use), nil
}

// ask runs one session at the peer until ctx ends (nil) or there is a reason
// to end it. It returns the class of the link with it.
func (p *plan) ask(ctx context.Context, t *Transfer, id peer.ID, job Job) (Link, error) {
	stream, err := t.openStream(ctx, id, ProtocolID, Use{job.Release, UseChunks})
	if err != nil {
		return t.cfg.Link, err
	}
	defer stream.Reset() //nolint:errcheck // nothing is to be saved
	link := t.linkOf(stream.Conn())
	r := t.peers.get(id, link, max(t.cfg.MemoryBytes/4, 2*codec.MaxFrameBytes))
	defer t.peers.put(r)
	t.totals.fetching.Add(1)
	defer t.totals.fetching.Add(-1)
	now := time.Now()
	s := &session{
		t: t, plan: p, peer: r, pace: link.pace(),
		conn:   newConn(stream, 4<<10, messageWithin, link.pace().writeStall, &t.traffic, &r.traffic),
		wake:   make(chan struct{}, 1),
		window: window{least: link.pace().minWindow, most: t.cfg.MaxWindowBytes},
		sent:   now, progressed: now, outside: !t.inside(stream.Conn()),
	}
	if t.cfg.NoProgress > 0 {
		s.pace.silence = t.cfg.NoProgress
	}
	p.join(s)
	defer p.leave(s)

	group, inner := errgroup.WithContext(ctx)
	defer context.AfterFunc(inner, func() { _ = stream.Reset() })()
	arrivals := make(chan arrival, 1)
	group.Go(func() error { return s.askOn(inner, link, job) })
	group.Go(func() error {
		defer close(arrivals)
		return s.read(inner, arrivals)
	})
	group.Go(func() error { return s.store(inner, arrivals) })
	err = group.Wait()
	for a := range arrivals { // what was not stored
		s.settle(a)
	}
	s.returnParts()
	if ctx.Err() != nil {
		return link, nil
	}
	t.punish(r, err)
	return link, err
}

// holds says whether the peer holds a slot.
func (s *session) holds(i int) bool { return s.has[i/64]&(1<<(i%64)) != 0 }

func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drop cancels a slot that another peer delivered; the caller holds plan.mu.
func (s *session) drop(i int) {
	for n := range s.expected {
		e := &s.expected[n]
		if e.slot != i || e.dropped {
			continue
		}
		s.plan.free(*e)
		e.dropped, e.reserved = true, 0
		s.asked -= int(s.plan.slots[i].bytes)
		if n == 0 {
			s.partial = 0
		}
		s.cancels = append(s.cancels, i)
		s.poke()
	}
}

// stalled says whether the peer owes a chunk for too long; plan.mu is held.
func (s *session) stalled(now time.Time) bool {
	if s.asked == 0 || s.busy {
		return false
	}
	since := s.completed
	for _, e := range s.expected {
		if !e.dropped {
			if e.at.After(since) {
				since = e.at
			}
			break
		}
	}
	return now.Sub(since) > s.pace.stall
}

// silent returns an error if the peer owes something and sends nothing, and
// otherwise when to look again.
func (s *session) silent(now time.Time) (time.Duration, error) {
	s.plan.mu.Lock()
	defer s.plan.mu.Unlock()
	if s.greeted && (s.asked == 0 || s.busy) {
		return s.pace.stall, nil
	}
	quiet := now.Sub(s.progressed)
	if quiet >= s.pace.silence {
		return 0, fmt.Errorf("%w for %s, %d chunks asked for", ErrStalled, quiet.Round(time.Millisecond), len(s.expected))
	}
	return min(s.pace.stall, s.pace.silence-quiet), nil
}

// askOn opens the session, then keeps the window full and watches the clock.
func (s *session) askOn(ctx context.Context, link Link, job Job) error {
	if err := s.conn.send(&message{Hello: s.t.hello(link)}); err != nil {
		return err
	}
	for first := 0; first < len(s.plan.files); first += maxOpenFiles {
		o := &open{Release: job.Release}
		for _, f := range s.plan.files[first:min(first+maxOpenFiles, len(s.plan.files))] {
			o.Files = append(o.Files, f.id)
		}
		if err := s.conn.send(&message{Open: o}); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		picked, starved := s.plan.pick(s, now)
		if err := s.request(picked); err != nil {
			return err
		}
		if s.outside {
			s.plan.announce(s.t, picked)
		}
		again, err := s.silent(now)
		if err != nil {
			return err
		}
		if starved {
			again = min(again, starvedRetry)
		}
		if s.conn.left() <= 0 {
			again = min(again, pathsAgain)
		}
		timer.Reset(again)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// request sends cancels, and requests for the slots picked, in order.
func (s *session) request(picked []int) error {
	s.plan.mu.Lock()
	cancels := s.cancels
	s.cancels = nil
	s.plan.mu.Unlock()
	err := s.plan.byFile(cancels, func(r *ranges) error { return s.conn.send(&message{Cancel: r}) })
	if err != nil {
		return err
	}
	for _, r := range s.resumes(picked) {
		if err := s.conn.send(&message{Resume: r}); err != nil {
			return err
		}
	}
	err = s.plan.byFile(picked, func(r *ranges) error { return s.conn.send(&message{Request: r}) })
	if err != nil {
		return err
	}
	return s.conn.flush()
}

// byFile calls send for runs of slots that lie in one file.
func (p *plan) byFile(slots []int, send func(*ranges) error) error {
	for len(slots) > 0 {
		file, _ := p.locate(slots[0])
		f := &p.files[file]
		r := &ranges{File: uint32(file)}
		for len(slots) > 0 && slots[0] >= f.base && slots[0] < f.base+f.chunks.Len() {
			r.Chunks = r.Chunks.Add(slots[0] - f.base)
			slots = slots[1:]
		}
		if err := send(r); err != nil {
			return err
		}
	}
	return nil
}
