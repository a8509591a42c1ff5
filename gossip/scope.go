package gossip

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// scope is a host that remembers which handlers were registered and which
// streams are open through it, so that all of them can be taken back. The
// pubsub library never removes its handlers and keeps reading its streams after
// its context has ended.
type scope struct {
	host.Host

	mu        sync.Mutex
	protocols []protocol.ID               // guarded by mu
	streams   map[network.Stream]struct{} // guarded by mu; nil once closed
	handlers  sync.WaitGroup              // inbound streams being handled
}

func newScope(h host.Host) *scope {
	return &scope{Host: h, streams: make(map[network.Stream]struct{})}
}

// SetStreamHandler registers a handler until close.
func (s *scope) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	s.mu.Lock()
	s.protocols = append(s.protocols, id)
	s.mu.Unlock()
	s.Host.SetStreamHandler(id, func(stream network.Stream) {
		s.mu.Lock()
		open := s.streams != nil
		if open {
			s.streams[stream] = struct{}{}
			s.handlers.Add(1)
		}
		s.mu.Unlock()
		if !open {
			_ = stream.Reset()
			return
		}
		defer s.handlers.Done()
		defer s.forget(stream)
		handler(stream)
	})
}

// NewStream opens a stream that lives until it is reset or until close.
func (s *scope) NewStream(ctx context.Context, with peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	stream, err := s.Host.NewStream(ctx, with, protocols...)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		_ = stream.Reset()
		return nil, ErrNotRunning
	}
	s.streams[stream] = struct{}{}
	return &scopedStream{Stream: stream, scope: s}, nil
}

func (s *scope) forget(stream network.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, stream)
}

// close removes the handlers, resets the streams and waits for the handlers
// that still run.
func (s *scope) close() {
	s.mu.Lock()
	protocols, streams := s.protocols, s.streams
	s.protocols, s.streams = nil, nil
	s.mu.Unlock()
	for _, id := range protocols {
		s.RemoveStreamHandler(id)
	}
	for stream := range streams {
		_ = stream.Reset()
	}
	s.handlers.Wait()
}

// scopedStream forgets itself when it ends.
type scopedStream struct {
	network.Stream
	scope *scope
}

func (s *scopedStream) Reset() error {
	s.scope.forget(s.Stream)
	return s.Stream.Reset()
}

func (s *scopedStream) ResetWithError(code network.StreamErrorCode) error {
	s.scope.forget(s.Stream)
	return s.Stream.ResetWithError(code)
}
