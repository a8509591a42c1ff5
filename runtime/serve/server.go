package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// headerTime is how long a REST client may take to send the header of a
// request, idleTime how long it may keep a connection between two.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
)

// Server answers clients of the Open Inference Protocol.
type Server struct {
	cfg      Config
	slots    chan struct{} // holds a token for each request under way
	stats    statistics
	draining atomic.Bool

	http, grpc net.Listener // nil where not served
}

// New opens the addresses of cfg; clients that connect wait until Run serves
// them. The caller must call Run once, which closes them.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, slots: make(chan struct{}, cfg.MaxRequests), stats: newStatistics()}
	var err error
	if s.http, err = listen(ctx, cfg.HTTP); err != nil {
		return nil, fmt.Errorf("serve REST: %w", err)
	}
	if s.grpc, err = listen(ctx, cfg.GRPC); err != nil {
		err = fmt.Errorf("serve gRPC: %w", err)
		if s.http != nil {
			err = errors.Join(err, s.http.Close())
		}
		return nil, err
	}
	return s, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}

// Addresses returns where the server listens, with the ports that were taken;
// each is empty where it does not.
func (s *Server) Addresses() (http, grpc string) {
	if s.http != nil {
		http = s.http.Addr().String()
	}
	if s.grpc != nil {
		grpc = s.grpc.Addr().String()
	}
	return http, grpc
}

// Run serves until ctx ends. Then it tells clients that it is not ready, takes
// no new requests, lets those under way finish for Config.DrainTime, cancels
// what is left, and returns nil when the last handler has returned.
func (s *Server) Run(ctx context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	if s.http != nil {
		s.runHTTP(ctx, requests, cancel, group)
	}
	if s.grpc != nil {
		s.runGRPC(ctx, requests, cancel, group)
	}
	return group.Wait()
}

func (s *Server) runHTTP(ctx, requests context.Context, cancel func(), group *errgroup.Group) {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       s.cfg.ReadTime,
		IdleTimeout:       idleTime,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	group.Go(func() error {
		if err := server.Serve(netutil.LimitListener(s.http, s.cfg.MaxConnections)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve REST on %s: %w", s.http.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		s.draining.Store(true)
		last, done := context.WithTimeout(requests, s.cfg.DrainTime)
		defer done()
		if err := server.Shutdown(last); err == nil {
			return nil
		}
		cancel()
		return s.closeHTTP(server)
	})
}

// closeHTTP waits until the requests, which have been cancelled, are answered,
// and closes what is left, such as connections whose client does not read.
func (s *Server) closeHTTP(server *http.Server) error {
	last, done := context.WithTimeout(context.Background(), s.cfg.DrainTime)
	defer done()
	if err := server.Shutdown(last); err == nil {
		return nil
	}
	return server.Close()
}

func (s *Server) runGRPC(ctx, requests context.Context, cancel func(), group *errgroup.Group) {
	server := s.newGRPC(requests)
	group.Go(func() error {
		if err := server.Serve(netutil.LimitListener(s.grpc, s.cfg.MaxConnections)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return fmt.Errorf("serve gRPC on %s: %w", s.grpc.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		s.draining.Store(true)
		late := time.AfterFunc(s.cfg.DrainTime, func() {
			cancel()
			server.Stop() // GracefulStop below returns then
		})
		defer late.Stop()
		server.GracefulStop()
		return nil
	})
}

// enter waits for one of the slots for requests, until ctx ends; the caller
// gives it back with the function that is returned.
func (s *Server) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
	default:
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %d other requests: %w", s.cfg.MaxRequests, ctx.Err())
		}
	}
	return func() { <-s.slots }, nil
}

// live and ready are what health endpoints tell: the server is live while it
// answers at all, and ready while it takes requests and every model that
// should be served is.
func (s *Server) ready() bool {
	if s.draining.Load() {
		return false
	}
	for _, m := range s.cfg.Models.List() {
		if !m.Ready {
			return false
		}
	}
	return true
}
