package serve_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

func TestConfigIsChecked(t *testing.T) {
	good := serve.Config{HTTP: "127.0.0.1:0", Models: newFake(), Logger: slog.New(slog.DiscardHandler)}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*serve.Config){
		"no address": func(c *serve.Config) { c.HTTP = "" }, "http address": func(c *serve.Config) { c.HTTP = "8000" },
		"grpc address": func(c *serve.Config) { c.GRPC = "8000" }, "no models": func(c *serve.Config) { c.Models = nil },
		"no logger": func(c *serve.Config) { c.Logger = nil }, "requests": func(c *serve.Config) { c.MaxRequests = -1 },
		"drain time": func(c *serve.Config) { c.DrainTime = -1 },
	} {
		c := good
		change(&c)
		if _, err := serve.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good.GRPC = taken.Addr().String()
	if _, err := serve.New(t.Context(), good); err == nil {
		t.Error("a taken address is opened")
	}
}

// gate is a model whose requests run until it is opened.
type gate struct {
	began chan struct{} // receives a value when one begins
	open  chan struct{} // closed to let them end
}

func (f *fake) putGate() gate {
	g := gate{began: make(chan struct{}, 100), open: make(chan struct{})}
	f.put(served{Model: serve.Model{Name: "acme/gate", Version: "1", Ready: true}, run: func(ctx context.Context, r serve.Request) (map[string]modelrt.Tensor, error) {
		g.began <- struct{}{}
		select {
		case <-g.open:
			return echo(ctx, r)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
	return g
}

// A server that stops answers what is under way, over REST and gRPC, and says
// meanwhile that it is not ready.
func TestDrain(t *testing.T) {
	models := newFake()
	g := models.putGate()
	s := start(t, models, nil)
	c := s.client(t)
	var group sync.WaitGroup
	group.Go(func() {
		if status, _, body := s.do(t, "POST", "/v2/models/acme/gate/infer", `{"inputs":[]}`); status != 200 {
			t.Errorf("REST: %d %s", status, body)
		}
	})
	group.Go(func() {
		if _, err := c.ModelInfer(t.Context(), &pb.ModelInferRequest{ModelName: "acme/gate"}); err != nil {
			t.Errorf("gRPC: %v", err)
		}
	})
	<-g.began
	<-g.began
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/v2/health/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			break // no new connections
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		http.DefaultClient.CloseIdleConnections()
		if time.Now().After(deadline) {
			t.Fatal("a server that stops takes new requests")
		}
	}
	select {
	case <-stopped:
		t.Error("the server stopped before its requests ended")
	default:
	}
	close(g.open)
	group.Wait()
	<-stopped
}

// What is not done when DrainTime has passed is cancelled.
func TestDrainEnds(t *testing.T) {
	models := newFake()
	g := models.putGate()
	s := start(t, models, func(c *serve.Config) { c.DrainTime = 50 * time.Millisecond })
	c := s.client(t)
	var group sync.WaitGroup
	group.Go(func() {
		if status, _, body := s.do(t, "POST", "/v2/models/acme/gate/infer", `{"inputs":[]}`); status == 200 {
			t.Errorf("REST: %d %s", status, body)
		}
	})
	group.Go(func() {
		if _, err := c.ModelInfer(t.Context(), &pb.ModelInferRequest{ModelName: "acme/gate"}); err == nil {
			t.Error("gRPC: answered")
		}
	})
	<-g.began
	<-g.began
	s.stop()
	group.Wait()
}

// No more requests run at once than are allowed; whoever waits does so until
// its deadline.
func TestRequestsWait(t *testing.T) {
	models := newFake()
	g := models.putGate()
	s := start(t, models, func(c *serve.Config) { c.MaxRequests = 1 })
	c := s.client(t)
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := c.ModelInfer(t.Context(), &pb.ModelInferRequest{ModelName: "acme/gate"}); err != nil {
			t.Error(err)
		}
	})
	<-g.began
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.ModelInfer(ctx, &pb.ModelInferRequest{ModelName: "acme/echo"}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a request over the bound: %v", err)
	}
	close(g.open)
	group.Wait()
	if _, err := c.ModelInfer(t.Context(), rawRequest()); err != nil {
		t.Errorf("after the others: %v", err)
	}
}

// A client that goes away has its run stopped.
func TestClientGoesAway(t *testing.T) {
	models := newFake()
	g := models.putGate()
	ended := make(chan error, 1)
	models.put(served{Model: serve.Model{Name: "acme/gate", Version: "1", Ready: true}, run: func(ctx context.Context, _ serve.Request) (map[string]modelrt.Tensor, error) {
		g.began <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	s := start(t, models, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/v2/models/acme/gate/infer", strings.NewReader(`{"inputs":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-g.began
		cancel()
	}()
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
		t.Error("a request that was cancelled is answered")
	}
	<-ended
}
