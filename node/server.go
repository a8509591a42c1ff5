package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/node/api"
)

const (
	maxRequestBytes = 512 << 20 // inputs of a model, as JSON
	maxSocketPath   = 104       // of a Unix socket's name, on the strictest system
	shutdownTime    = 5 * time.Second
	metricsTime     = 30 * time.Second // for one scrape over TCP
	maxScrapes      = 2
)

// Handler returns the local API, as package api describes it.
func (n *Node) Handler() http.Handler {
	mux := http.NewServeMux()
	get(mux, n, "status", n.status)
	get(mux, n, "peers", n.peers)
	get(mux, n, "fleet", n.fleetNodes)
	get(mux, n, "trust", n.publishers)
	get(mux, n, "rules", n.getRules)
	post(mux, n, "trust", n.pin)
	post(mux, n, "publisher/create", n.createPublisher)
	post(mux, n, "publisher/export", n.exportPublisher)
	post(mux, n, "publish", n.publish)
	post(mux, n, "follow", n.follow)
	post(mux, n, "carry", n.carry)
	post(mux, n, "unfollow", n.unfollow)
	post(mux, n, "retry", n.retry)
	post(mux, n, "rollback", n.rollback)
	get(mux, n, "links", n.listLinks)
	post(mux, n, "link/set", n.setLink)
	post(mux, n, "link/rm", n.removeLink)
	post(mux, n, "allow", n.allow)
	post(mux, n, "plan", n.plan)
	post(mux, n, "why", n.why)
	post(mux, n, "wait", n.wait)
	post(mux, n, "path", n.path)
	post(mux, n, "signature", n.signature)
	post(mux, n, "infer", n.infer)
	post(mux, n, "verify", n.verify)
	post(mux, n, "fsck", n.fsck)
	post(mux, n, "gc", n.gc)
	get(mux, n, "bundle/state", n.bundleState)
	post(mux, n, "bundle/export", n.exportBundle)
	post(mux, n, "bundle/import", n.importBundle)
	mux.Handle("GET /metrics", n.metricsHandler())
	return mux
}

// none is the request of a call that needs nothing said.
type none struct{}

func get[Res any](mux *http.ServeMux, n *Node, name string, call func(context.Context, none, *api.Writer) (Res, error)) {
	mux.HandleFunc("GET /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		answer(n, w, r, none{}, call)
	})
}

func post[Req, Res any](mux *http.ServeMux, n *Node, name string, call func(context.Context, Req, *api.Writer) (Res, error)) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var req Req
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&req); err != nil {
			http.Error(w, fmt.Sprintf("request: %v", err), http.StatusBadRequest)
			return
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			http.Error(w, "request: more than one JSON object", http.StatusBadRequest)
			return
		}
		answer(n, w, r, req, call)
	})
}

func answer[Req, Res any](n *Node, w http.ResponseWriter, r *http.Request, req Req, call func(context.Context, Req, *api.Writer) (Res, error)) {
	out := api.NewWriter(w)
	result, err := call(r.Context(), req, out)
	if err != nil {
		err = wireError(err)
	}
	if err := out.Finish(result, err); err != nil {
		n.log.Debug("caller went away", slog.String("call", r.URL.Path), slog.Any("error", err))
	}
}

// serve answers local callers on the socket, and metrics on the configured
// address, until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	socket, err := listenSocket(ctx, filepath.Join(n.dir, api.SocketName))
	if err != nil {
		return err
	}
	var metrics net.Listener
	if n.config.Metrics != "" {
		var listen net.ListenConfig
		if metrics, err = listen.Listen(ctx, "tcp", n.config.Metrics); err != nil {
			return errors.Join(fmt.Errorf("serve metrics on %s: %w", n.config.Metrics, err), socket.Close())
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	serveHTTP(ctx, group, socket, &http.Server{Handler: n.Handler()}, n.log)
	if metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", n.metricsHandler())
		serveHTTP(ctx, group, metrics, &http.Server{Handler: mux, ReadTimeout: metricsTime, WriteTimeout: metricsTime}, n.log)
	}
	return group.Wait()
}

// metricsHandler answers few scrapes at a time: each reads the whole index.
func (n *Node) metricsHandler() http.Handler {
	return promhttp.HandlerFor(n.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// serveHTTP runs a server in group until ctx ends; calls under way are then
// cancelled and given a moment to say so.
func serveHTTP(ctx context.Context, group *errgroup.Group, listener net.Listener, server *http.Server, log *slog.Logger) {
	server.ReadHeaderTimeout = 10 * time.Second
	server.IdleTimeout = time.Minute
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", listener.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
}

// listenSocket listens on a Unix socket that only its owner may connect to. A
// socket file that a crashed process left is replaced: the store's lock, which
// the caller holds, proves that no process serves it.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("home path is too long for a socket: %s has %d bytes, at most %d: choose a shorter --dir", path, len(path), maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("local API: %w", err)
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("local API: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("local API: %w", err), listener.Close())
	}
	return listener, nil
}
