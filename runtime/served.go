package runtime

import (
	"context"
	"log/slog"
	"sync"

	"github.com/dunlin-mesh/dunlin/runtime/watch"
)

// served is the active session of one model, and the requests on it.
type served struct {
	info    ActiveInfo
	session Session
	logger  *slog.Logger
	// candidate is what was activated, to be loaded again; odd are the outputs
	// that its golden inputs make NaN or infinite.
	candidate Candidate
	odd       map[string]bool

	mu      sync.Mutex
	users   int  // requests under way
	retired bool // no new requests come; closed when the last one ends
	window  watch.Window
	soak    *soak // nil once committed

	closed chan struct{} // closed once session.Close has returned
	err    error         // what it returned; read after closed
}

func newServed(info ActiveInfo, s Session, logger *slog.Logger) *served {
	return &served{info: info, session: s, logger: logger, closed: make(chan struct{})}
}

// acquire counts a request in. It must not be called once s is retired; the
// activator takes s out of its map first.
func (s *served) acquire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

// release counts a request out, and closes the session after the last one of
// a retired session.
func (s *served) release() {
	s.mu.Lock()
	s.users--
	last := s.retired && s.users == 0
	s.mu.Unlock()
	if last {
		s.close()
	}
}

// retire has the session closed: now, or by the last request under way. It
// must be called once.
func (s *served) retire() {
	s.mu.Lock()
	s.retired = true
	idle := s.users == 0
	s.mu.Unlock()
	if idle {
		s.close()
	}
}

func (s *served) close() {
	if s.err = s.session.Close(); s.err != nil {
		s.logger.Error("closing a session failed", releaseAttrs(s.info.Release), slog.Any("error", s.err))
	}
	close(s.closed)
}

// wait waits until the retired session is closed, or ctx ends, and returns
// what closing it gave.
func (s *served) wait(ctx context.Context) error {
	select {
	case <-s.closed:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// releaseAttrs are the attributes that name a release in a log line.
func releaseAttrs(r Release) slog.Attr {
	return slog.Group("",
		slog.String("model", r.Model), slog.String("version", r.Version), slog.Uint64("sequence", r.Sequence),
		slog.String("release", r.Release), slog.String("variant", r.Variant))
}
