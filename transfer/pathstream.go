package transfer

import (
	"errors"
	"math"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// courtesyBytes are what may be written over a closed link to say so.
const courtesyBytes = 1 << 10

// errStreamEnded says that a stream was reset while it waited for its link.
var errStreamEnded = errors.New("stream was reset")

// paced returns the stream, held to the bounds of its link; stream itself on a
// link without any.
func (t *Transfer) paced(stream network.Stream, use Use) network.Stream {
	m := t.pathOf(stream.Conn()).Meter
	if m == nil {
		return stream
	}
	s := &pacedStream{Stream: stream, meter: m, use: use, ended: make(chan struct{}), poked: make(chan struct{})}
	if _, err := m.Admit(use); err != nil {
		s.courtesy = courtesyBytes
	}
	return s
}

// pacedStream is a stream on a link with bounds:
//
//	read:   wait until the rate allows, read a piece, count it; after the bound
//	        of the link is reached the next read fails
//	write:  piece by piece: count, wait until the rate allows, write; fails at
//	        the bound
//
// Time spent waiting for the rate does not count against deadlines: the peer is
// not to blame for it. As on any stream, one goroutine reads and one writes.
type pacedStream struct {
	network.Stream
	meter Meter
	use   Use

	down     time.Time // before which nothing is to be read; of the reader
	closed   error     // why nothing more is to be read; of the reader
	courtesy int       // bytes that may be written although the link is closed; of the writer

	end   sync.Once
	ended chan struct{} // closed by Reset

	mu       sync.Mutex
	deadline time.Time     // for reading; zero for none
	patience time.Duration // for each piece written; 0 for no deadline
	poked    chan struct{} // closed and replaced when the deadline changes
}

// Read implements network.Stream.
func (s *pacedStream) Read(p []byte) (int, error) {
	if s.closed != nil {
		return 0, s.closed
	}
	if err := s.sleepReading(); err != nil {
		return 0, err
	}
	n, err := s.Stream.Read(p[:min(len(p), pieceBytes)])
	if n > 0 {
		_, wait, closed := s.meter.Take(s.use, n, false)
		s.down, s.closed = time.Now().Add(wait), closed
	}
	return n, err
}

// sleepReading waits until the rate allows the next read, and moves the deadline
// by as much. A deadline that is set to the past meanwhile ends the waiting.
func (s *pacedStream) sleepReading() error {
	for {
		wait := time.Until(s.down)
		if wait <= 0 {
			return nil
		}
		s.mu.Lock()
		poked, deadline := s.poked, s.deadline
		s.mu.Unlock()
		start := time.Now()
		if !deadline.IsZero() && !deadline.After(start) {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-poked:
		case <-s.ended:
		}
		timer.Stop()
		select {
		case <-s.ended:
			return errStreamEnded
		default:
		}
		s.mu.Lock()
		var err error
		if s.deadline.Equal(deadline) && !deadline.IsZero() {
			s.deadline = deadline.Add(time.Since(start))
			err = s.Stream.SetReadDeadline(s.deadline)
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// Write implements network.Stream.
func (s *pacedStream) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), pieceBytes)]
		granted, wait, err := s.meter.Take(s.use, len(piece), true)
		if granted == 0 && err != nil && len(piece) <= s.courtesy {
			s.courtesy -= len(piece)
			granted, err = len(piece), nil
		}
		if granted == 0 {
			return written, errors.Join(err, s.Stream.Reset())
		}
		if err := s.sleepWriting(wait); err != nil {
			return written, err
		}
		n, err := s.Stream.Write(piece[:granted])
		written += n
		if err != nil {
			return written, err
		}
		p = p[granted:]
	}
	return written, nil
}

// sleepWriting waits until the rate allows what was granted to be written, and
// sets the deadline for it.
func (s *pacedStream) sleepWriting(wait time.Duration) error {
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ended:
			return errStreamEnded
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.patience == 0 {
		return nil
	}
	return s.Stream.SetWriteDeadline(time.Now().Add(s.patience))
}

// SetReadDeadline implements network.Stream.
func (s *pacedStream) SetReadDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = at
	close(s.poked)
	s.poked = make(chan struct{})
	return s.Stream.SetReadDeadline(at)
}

// SetWriteDeadline implements network.Stream; the time from now on is what each
// piece gets.
func (s *pacedStream) SetWriteDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.patience = 0; !at.IsZero() {
		s.patience = max(time.Until(at), time.Nanosecond)
	}
	return s.Stream.SetWriteDeadline(at)
}

// SetDeadline implements network.Stream.
func (s *pacedStream) SetDeadline(at time.Time) error {
	return errors.Join(s.SetReadDeadline(at), s.SetWriteDeadline(at))
}

// Reset implements network.Stream.
func (s *pacedStream) Reset() error {
	s.end.Do(func() { close(s.ended) })
	return s.Stream.Reset()
}

// ResetWithError implements network.Stream.
func (s *pacedStream) ResetWithError(code network.StreamErrorCode) error {
	s.end.Do(func() { close(s.ended) })
	return s.Stream.ResetWithError(code)
}

// left returns how many bytes may be asked for on the connection now; 0 while
// its link is closed.
func (c *conn) left() int {
	s, ok := c.stream.(*pacedStream)
	if !ok {
		return math.MaxInt
	}
	left, err := s.meter.Admit(s.use)
	if err != nil {
		return 0
	}
	return int(min(left, math.MaxInt))
}
