package site

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	serviceName = "dunlin.site"
	// maxLinks bounds the members of a site, and streams with those to be.
	maxLinks = 256
	// streamTimeout is how long a message may take to arrive or to be taken,
	// and how long the answer to a ping.
	streamTimeout = 10 * time.Second
)

// errFar says that a peer is not in the site after all.
var errFar = errors.New("site: answers take too long for a member")

// link is the stream with a member, or with a peer that may become one. The
// goroutine that reads owns what is not guarded.
type link struct {
	s      *Site
	peer   peer.ID
	stream network.Stream
	near   bool // no need to measure, or measured

	state *state        // heard before the peer was found near
	again chan struct{} // buffered: tell once more

	mu    sync.Mutex
	nonce []byte    // guarded by mu; of the ping that waits for an answer, if one does
	sent  time.Time // guarded by mu; when that was
	pings int       // guarded by mu

	writing sync.Mutex // held while a message is written
}

// converse is one stream from its opening to its end, the same on both sides.
func (s *Site) converse(ctx context.Context, stream network.Stream, near bool) error {
	l := &link{s: s, peer: stream.Conn().RemotePeer(), stream: stream, near: near, again: make(chan struct{}, 1)}
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	defer writer.Wait()
	defer cancel()
	if !s.enter(l) {
		_ = stream.Reset()
		return fmt.Errorf("more than %d members", maxLinks)
	}
	defer s.exit(l)
	writer.Go(func() {
		if err := l.tell(ctx); err != nil {
			_ = stream.Reset() // ends the reader, which says why
		}
	})
	err := l.listen(ctx)
	switch {
	case errors.Is(err, io.EOF):
		_ = stream.Close()
		return nil
	case errors.Is(err, errFar):
		_ = stream.Close() // so that the last word gets through
	default:
		_ = stream.Reset()
	}
	return err
}

// enter makes l the link with its peer. An older one ends: the peer has begun a
// new stream because it knows that the old one is dead.
func (s *Site) enter(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.links[l.peer]
	if old == nil && len(s.links) >= maxLinks {
		return false
	}
	s.links[l.peer] = l
	if old != nil {
		_ = old.stream.Reset()
	}
	return true
}

func (s *Site) exit(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.links[l.peer] != l {
		return // replaced
	}
	delete(s.links, l.peer)
	if s.members[l.peer] != nil {
		s.gone(l.peer, time.Now())
	}
	s.scanAt = time.Now()
	s.poke()
}

// tell sends the node's state, now and whenever it changes, until ctx ends.
func (l *link) tell(ctx context.Context) error {
	if !l.near {
		if err := l.ping(); err != nil {
			return err
		}
	}
	for {
		l.s.mu.Lock()
		data, news := l.s.telling, l.s.news
		l.s.mu.Unlock()
		if err := l.write(data); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-l.again:
		}
	}
}

func (l *link) write(data []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.stream.SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	_, err := l.stream.Write(data)
	return err
}

func (l *link) say(m *message) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	return l.write(data)
}

// listen takes in what the peer says until the stream ends.
func (l *link) listen(ctx context.Context) error {
	in := bufio.NewReaderSize(l.stream, 1<<10)
	pace := &pace{}
	for {
		deadline := time.Time{}
		if !l.near {
			deadline = time.Now().Add(streamTimeout)
		}
		if err := l.stream.SetReadDeadline(deadline); err != nil {
			return err
		}
		if _, err := in.Peek(1); err != nil {
			return err
		}
		if err := l.stream.SetReadDeadline(time.Now().Add(streamTimeout)); err != nil {
			return err
		}
		m, err := decode(in)
		if err != nil {
			return cutShort(err)
		}
		if err := l.take(m); err != nil {
			return err
		}
		if err := pace.wait(ctx); err != nil {
			return err
		}
	}
}

// take deals with one message.
func (l *link) take(m *message) error {
	switch {
	case len(m.Ping) > 0:
		return l.say(&message{Pong: m.Ping})
	case len(m.Pong) > 0:
		return l.measured(m.Pong)
	case m.Far:
		l.s.vetoes.add(l.peer, time.Now())
		return errFar
	}
	if !l.near {
		l.state = m.State
		return nil
	}
	l.admit(m.State)
	return nil
}

// admit makes the peer a member, if it is none yet, that says so of itself.
func (l *link) admit(said *state) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.links[l.peer] != l {
		return
	}
	if l.s.members[l.peer] == nil {
		l.s.cfg.Logger.Info("member of the site", slog.String("peer", l.peer.String()))
	}
	l.s.heard(l.peer, said, time.Now())
}
