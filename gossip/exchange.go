package gossip

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

const (
	// hugeBytes is from where on an update counts as huge: a node takes in one
	// of those at a time.
	hugeBytes = 1 << 20
	// maxSessionBytes bounds what one session takes in.
	maxSessionBytes = 256 << 20
	// writeBytes is what must get through within one turnTimeout.
	writeBytes = 16 << 10
)

// send writes a turn and its updates at once.
func (s *session) send(out *outgoing) error {
	block, err := manifest.Encode(&out.turn)
	if err != nil {
		return err
	}
	buf := s.g.codec.appendFrame(nil, block.Data)
	for _, u := range out.updates {
		data, err := u.Encode()
		if err != nil {
			return fmt.Errorf("own update of %s: %w", u.Publisher, err)
		}
		buf = s.g.codec.appendFrame(buf, data)
	}
	s.wanting = out.wants() || (len(out.Digest) > 0 && s.theirs == nil)
	for piece := range slices.Chunk(buf, writeBytes) {
		if err := s.stream.SetWriteDeadline(time.Now().Add(s.g.params.turnTimeout)); err != nil {
			return err
		}
		if _, err := s.stream.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// receive reads a turn. io.EOF means that the other side has ended the session.
func (s *session) receive() (*turn, error) {
	data, err := s.readFrame(maxTurnBytes)
	if err != nil {
		return nil, err
	}
	return decodeTurn(data)
}

// takeUpdate reads one of the updates that follow a turn and applies it.
func (s *session) takeUpdate(ctx context.Context) error {
	size, err := peekFrame(s.in)
	if err != nil {
		return parley.CutShort(err)
	}
	if size > hugeBytes {
		select {
		case s.g.huge <- struct{}{}:
			defer func() { <-s.g.huge }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	data, err := s.readFrame(trust.MaxUpdateBytes)
	if err != nil {
		return parley.CutShort(err)
	}
	u, err := trust.DecodeUpdate(data)
	if err != nil {
		return err
	}
	return s.apply(u)
}

func (s *session) readFrame(limit int) ([]byte, error) {
	data, err := s.g.codec.readFrame(s.in, limit)
	if s.taken += len(data); s.taken > maxSessionBytes {
		return nil, fmt.Errorf("more than %d bytes in one session: %w", maxSessionBytes, ErrProtocol)
	}
	return data, err
}
