package transfer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
)

// deltaSession is the client's end of a delta session. One goroutine uses it
// at a time.
type deltaSession struct {
	t    *Transfer
	peer *peerRecord
	link Link
	conn *conn
}

func (t *Transfer) openDelta(ctx context.Context, id peer.ID, use Use) (*deltaSession, error) {
	stream, err := t.openStream(ctx, id, DeltaProtocolID, use)
	if err != nil {
		return nil, err
	}
	s := &deltaSession{t: t, link: t.linkOf(stream.Conn())}
	s.peer = t.peers.get(id, s.link, max(t.cfg.MemoryBytes/4, 2*codec.MaxFrameBytes))
	s.conn = newConn(stream, 4<<10, s.silence(), s.link.pace().writeStall, &t.traffic, &s.peer.traffic)
	return s, nil
}

func (s *deltaSession) silence() time.Duration {
	if s.t.cfg.NoProgress > 0 {
		return s.t.cfg.NoProgress
	}
	return s.link.pace().silence
}

func (s *deltaSession) say(m *deltaMessage) error {
	if err := s.conn.send(m); err != nil {
		return err
	}
	return s.conn.flush()
}

func (s *deltaSession) close() {
	_ = s.conn.stream.Reset()
	s.t.peers.put(s.peer)
}

// receive reads the next message; the end of the stream is none.
func (s *deltaSession) receive() (*deltaMessage, error) {
	m := &deltaMessage{}
	err := stalled(s.conn.receiveInto(s.silence(), m))
	if errors.Is(err, io.EOF) {
		err = errClosed
	}
	return m, err
}
