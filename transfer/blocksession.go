package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// blockSession asks one peer for blocks. One goroutine uses it at a time.
type blockSession struct {
	t    *Transfer
	id   peer.ID
	link Link
	peer *peerRecord
	conn *conn // nil before the first ask
	hi   bool  // the peer has said hello

	outside bool   // the peer is not of this site; set by open
	taken   uint64 // bytes of frames, by the last ask
}

func (s *blockSession) close() {
	if s.conn == nil {
		return
	}
	_ = s.conn.stream.Reset()
	s.conn = nil
	s.t.peers.put(s.peer)
	s.t.totals.fetching.Add(-1)
}

// ask gets from the peer what it holds of the blocks wanted.
func (s *blockSession) ask(ctx context.Context, w *wants) error {
	s.taken = 0
	err := s.open(ctx)
	if err != nil {
		return err
	}
	stream := s.conn.stream
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	left := w.missing()
	for len(left) > 0 && err == nil {
		part := left[:min(len(left), maxWants)]
		left = left[len(part):]
		err = s.exchange(part, w)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.t.punish(s.peer, err)
	}
	return err
}

func (s *blockSession) open(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	stream, err := s.t.openStream(ctx, s.id, ProtocolID, Use{Kind: UseBlocks})
	if err != nil {
		return err
	}
	s.link, s.outside = s.t.linkOf(stream.Conn()), !s.t.inside(stream.Conn())
	s.peer = s.t.peers.get(s.id, s.link, max(s.t.cfg.MemoryBytes/4, 2*codec.MaxFrameBytes))
	s.t.totals.fetching.Add(1)
	pace := s.link.pace()
	s.conn = newConn(stream, 4<<10, s.silence(), pace.writeStall, &s.t.traffic, &s.peer.traffic)
	return s.conn.send(&message{Hello: s.t.hello(s.link)})
}

func (s *blockSession) silence() time.Duration {
	if s.t.cfg.NoProgress > 0 {
		return s.t.cfg.NoProgress
	}
	return s.link.pace().silence
}

// exchange wants blocks and takes the answers, which come in order.
func (s *blockSession) exchange(cids []manifest.CID, w *wants) error {
	if err := s.conn.send(&message{Want: &want{Blocks: cids}}); err != nil {
		return err
	}
	if err := s.conn.flush(); err != nil {
		return err
	}
	if !s.hi {
		m, err := s.receive()
		if err != nil {
			return err
		}
		if m.Hello == nil {
			return fmt.Errorf("%w: no hello first", ErrProtocol)
		}
		s.hi = true
	}
	for _, cid := range cids {
		m, err := s.receive()
		if err != nil {
			return err
		}
		switch {
		case m.Block != nil && m.Block.Bytes == 0:
		case m.Block != nil:
			if err := s.take(cid, int(m.Block.Bytes)); err != nil {
				return err
			}
			w.got(cid)
		case m.Fault != nil && m.Fault.Code == faultBusy:
			return &busyError{min(max(time.Duration(m.Fault.Retry)*time.Second, time.Second), 10*time.Minute)}
		case m.Fault != nil:
			return fmt.Errorf("peer ended the session: %.32q", m.Fault.Code)
		default:
			return fmt.Errorf("%w: no block where one was to come", ErrProtocol)
		}
	}
	return nil
}

// receive reads a message; a peer that is silent has stalled.
func (s *blockSession) receive() (*message, error) {
	m, err := s.conn.receive(s.silence())
	return m, stalled(err)
}

// take reads, verifies and stores one block.
func (s *blockSession) take(cid manifest.CID, size int) error {
	buf := s.t.buffers.get(size)
	defer s.t.buffers.put(buf)
	until := time.Now().Add(s.silence())
	if err := s.conn.stream.SetReadDeadline(until); err != nil {
		return err
	}
	since := 0
	err := s.conn.payload(*buf, func(n int) {
		if since += n; since >= progressBytes {
			since = 0
			_ = s.conn.stream.SetReadDeadline(time.Now().Add(s.silence()))
		}
	})
	if err != nil {
		return stalled(err)
	}
	frame, err := codec.ParseFrame(*buf)
	if err != nil {
		return fmt.Errorf("%w: block %s: %w", ErrProtocol, cid, err)
	}
	if frame.RawBytes > manifest.MaxBlockBytes {
		return fmt.Errorf("%w: block %s of %d bytes", ErrProtocol, cid, frame.RawBytes)
	}
	data, err := s.t.coder.Decode(nil, frame, frame.RawBytes, nil)
	if err != nil {
		return fmt.Errorf("%w: block %s: %w", ErrCorrupt, cid, err)
	}
	if err := cid.Verify(data); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if frame.Encoding == codec.Raw {
		data = bytes.Clone(data) // the buffer goes back
	}
	if err := s.t.cfg.Store.PutBlock(manifest.Block{CID: cid, Data: data}); err != nil {
		return &storeError{err}
	}
	s.t.totals.blocksIn.Add(1)
	s.taken += uint64(size)
	return nil
}

// stalled turns a deadline that passed into ErrStalled.
func stalled(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrStalled, err)
	}
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	return err
}
