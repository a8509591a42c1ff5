package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	messageWithin = 30 * time.Second // for the rest of a message that has begun
	idleSession   = 10 * time.Minute // a session without messages ends
	evictAfter    = 30 * time.Second // or after so long, when others want its place
	busyRetry     = 10               // seconds
	writeBuffer   = 64 << 10
)

// serving is a session that a peer has open here. One goroutine reads messages
// and puts what they ask for in the queue, another answers in order.
type serving struct {
	t    *Transfer
	peer *peerRecord
	conn *conn
	link Link // after hello
	pace pace

	mu      sync.Mutex
	wake    chan struct{} // capacity 1: the writer looks again
	queue   []ask
	chunks  int // chunks and blocks in queue
	files   []manifest.FileID
	told    []manifest.Ranges     // of each file
	stales  map[uint32]int        // files whose have-update is due, and how often to look
	claimed map[uint32]told       // what was told of this node's claims
	cut     map[[2]uint32]*resume // frames of which the peer has the beginning, by file and chunk
	hello   *hello                // of the peer
	last    time.Time             // when it last asked for something, or was answered
	closed  bool                  // no more questions will come
	effort  effort
}

// ask is something to be answered: one field.
type ask struct {
	block  manifest.CID
	chunks ranges
	fault  *faultAt
}

// serve answers one session until the peer closes it, breaks the protocol, is
// idle for too long, or ctx ends.
func (t *Transfer) serve(ctx context.Context, stream network.Stream) {
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
	s := &serving{
		t: t, peer: peer, link: link, pace: link.pace(), last: time.Now(),
		conn: newConn(stream, writeBuffer, messageWithin, link.pace().writeStall, &t.traffic, &peer.traffic),
		wake: make(chan struct{}, 1), stales: map[uint32]int{}, claimed: map[uint32]told{},
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	if retry := t.admit(s); retry > 0 {
		if s.conn.send(&message{Hello: t.hello(link)}) == nil && s.conn.send(&message{Fault: &faultAt{Code: faultBusy, Retry: retry}}) == nil {
			clean = s.conn.flush() == nil && stream.Close() == nil
		}
		return
	}
	defer t.dismiss(s)

	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() {
		defer cancel()
		if s.answer(ctx) == nil {
			clean = stream.Close() == nil
		}
		if !clean {
			_ = stream.Reset() // so that listen returns
		}
	})
	err := s.listen()
	s.finish(err)
	if err != nil && !tellable(err) {
		cancel() // the stream is broken
	}
	writer.Wait()
	cancel()
	t.hub.unsubscribe(s, s.files)
	if errors.Is(err, ErrProtocol) {
		t.punish(peer, err)
	}
}

func (t *Transfer) hello(link Link) *hello {
	return &hello{Version: Version, Link: link, MaxFrame: codec.MaxFrameBytes}
}

// admit finds a place for the session, if need be that of one that idles; or
// returns after how many seconds the peer may come back.
func (t *Transfer) admit(s *serving) (retry uint32) {
	if retry := t.refusal(s.conn.stream.Conn()); retry > 0 {
		return retry
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(s.peer.sessions.Load()) >= t.cfg.MaxSessionsPerPeer || t.peers.refuses(s.peer) {
		return busyRetry
	}
	if len(t.served) >= t.cfg.MaxSessions {
		var idlest *serving
		since := time.Now().Add(-evictAfter)
		for o := range t.served {
			if last, idle := o.idle(); idle && last.Before(since) {
				idlest, since = o, last
			}
		}
		if idlest == nil {
			return busyRetry
		}
		_ = idlest.conn.stream.Reset()
		delete(t.served, idlest)
	}
	t.served[s] = struct{}{}
	s.peer.sessions.Add(1)
	return 0
}

func (t *Transfer) dismiss(s *serving) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.served, s)
	s.peer.sessions.Add(-1)
}

// idle says whether nothing is to be answered, and since when.
func (s *serving) idle() (since time.Time, idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, len(s.queue) == 0
}

// listen reads messages until the peer closes (nil) or there is a reason not
// to go on.
func (s *serving) listen() error {
	m, err := s.conn.receive(messageWithin)
	if err != nil {
		return err
	}
	if m.Hello == nil {
		return fmt.Errorf("%w: no hello first", ErrProtocol)
	}
	s.mu.Lock()
	s.hello = m.Hello
	s.link = dearer(s.link, m.Hello.Link)
	s.pace = s.link.pace()
	s.mu.Unlock()
	s.poke()
	for {
		m, err := s.conn.receive(idleSession)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.take(m)
		}
		if err != nil {
			return err
		}
		s.poke()
	}
}

// take puts what m asks for in the queue.
func (s *serving) take(m *message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	switch {
	case m.Want != nil:
		for _, cid := range m.Want.Blocks {
			s.queue = append(s.queue, ask{block: cid})
		}
		s.chunks += len(m.Want.Blocks)
	case m.Open != nil:
		if len(s.files)+len(m.Open.Files) > maxFiles {
			return fmt.Errorf("%w: more than %d files in a session", ErrProtocol, maxFiles)
		}
		for _, id := range m.Open.Files {
			number := uint32(len(s.files))
			s.files, s.told = append(s.files, id), append(s.told, nil)
			s.t.hub.subscribe(s, id, number)
			s.queue = append(s.queue, ask{chunks: ranges{File: number}}) // no chunks: say what is held
		}
	case m.Request != nil:
		n := m.Request.Chunks.Count()
		if int(m.Request.File) >= len(s.files) || n == 0 {
			return fmt.Errorf("%w: request of %d chunks of file %d, %d are open", ErrProtocol, n, m.Request.File, len(s.files))
		}
		s.queue = append(s.queue, ask{chunks: *m.Request})
		s.chunks += n
	case m.Resume != nil:
		return s.goOn(m.Resume)
	case m.Cancel != nil:
		s.cancel(m.Cancel)
	default:
		return fmt.Errorf("%w: message that only a server sends", ErrProtocol)
	}
	if s.chunks > maxQueued || len(s.queue) > maxQueued+maxFiles {
		return fmt.Errorf("%w: more than %d chunks and blocks asked for at once", ErrProtocol, maxQueued)
	}
	return nil
}

// cancel takes chunks out of the queue; the caller holds mu.
func (s *serving) cancel(c *ranges) {
	kept := s.queue[:0]
	for _, a := range s.queue {
		if a.chunks.File == c.File && len(a.chunks.Chunks) > 0 {
			before := a.chunks.Chunks.Count()
			a.chunks.Chunks = a.chunks.Chunks.Minus(c.Chunks)
			after := a.chunks.Chunks.Count()
			if s.chunks -= before - after; after == 0 {
				continue
			}
		}
		kept = append(kept, a)
	}
	s.queue = kept
}

// tellable says whether a session that ended with err can still be told why.
func tellable(err error) bool {
	return errors.Is(err, ErrProtocol) || errors.Is(stalled(err), ErrStalled)
}

// finish tells the writer that no more questions come, and why.
func (s *serving) finish(err error) {
	s.mu.Lock()
	s.closed = true
	if tellable(err) {
		fault := &faultAt{Code: faultGone, Text: "nothing came for too long"}
		if errors.Is(err, ErrProtocol) {
			text := err.Error()
			fault = &faultAt{Code: faultMalformed, Text: strings.ToValidUTF8(text[:min(len(text), maxText)], "")}
		}
		s.queue = []ask{{fault: fault}}
	}
	s.mu.Unlock()
	s.poke()
}

// stale notes that a have-update of the file is due.
func (s *serving) stale(number uint32) {
	s.mu.Lock()
	s.stales[number] = looks
	s.mu.Unlock()
	s.poke()
}

func (s *serving) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
