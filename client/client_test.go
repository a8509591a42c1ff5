package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/client"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
)

// models serves acme/echo, whose outputs are its inputs; acme/busy, acme/none
// and acme/broken fail, acme/slow runs until it is stopped.
type models struct{ stopped chan struct{} }

func (m models) Model(name, _ string) (serve.Model, error) {
	return serve.Model{Name: name, Version: "1.2.0", Ready: name == "acme/echo"}, nil
}

func (m models) List() []serve.Model { return nil }

func (m models) Infer(ctx context.Context, r serve.Request) (serve.Response, error) {
	switch r.Model {
	case "acme/busy":
		return serve.Response{}, fmt.Errorf("%w: 3 wait", modelrt.ErrOverloaded)
	case "acme/none":
		return serve.Response{}, modelrt.ErrNotActive
	case "acme/broken":
		return serve.Response{}, modelrt.ErrRun
	case "acme/picky":
		return serve.Response{}, fmt.Errorf("%w: x is too long", modelrt.ErrInput)
	case "acme/unknown":
		return serve.Response{}, serve.ErrUnknownModel
	case "acme/slow":
		<-ctx.Done()
		close(m.stopped)
		return serve.Response{}, ctx.Err()
	}
	out := make(map[string]modelrt.Tensor)
	var sig modelrt.Signature
	for name, in := range r.Inputs {
		t := in.Tensor
		if in.Bytes != nil { // elements one after the other
			joined := bytes.Join(in.Bytes, nil)
			t = modelrt.Tensor{DType: modelrt.U8, Shape: []int64{int64(len(joined))}, Data: joined}
		}
		t.Data = slices.Clone(t.Data)
		out[name] = t
		sig.Outputs = append(sig.Outputs, modelrt.Port{Name: name, DType: t.DType, Shape: t.Shape})
	}
	return serve.Response{Version: "1.2.0", Signature: sig, Outputs: out}, nil
}

// dial returns a client of a server that lives as long as the test.
func dial(t testing.TB, m models) *client.Client {
	t.Helper()
	s, err := serve.New(t.Context(), serve.Config{GRPC: "127.0.0.1:0", Models: m, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	_, address := s.Addresses()
	c, err := client.New(client.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// through sends values through acme/echo.
func through[T client.Number](t *testing.T, c *client.Client, shape []int64, values ...T) {
	t.Helper()
	var in client.Tensor
	if err := client.Set(&in, "x", shape, values); err != nil {
		t.Fatal(err)
	}
	result, err := c.Infer(t.Context(), client.Request{Model: "acme/echo", Inputs: []client.Tensor{in}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Get[T](nil, result.Output("x"))
	if err != nil || !slices.Equal(got, values) || result.Version != "1.2.0" {
		t.Errorf("%T: got %v from version %s, %v; want %v", values, got, result.Version, err, values)
	}
}

func TestEveryTypeTravels(t *testing.T) {
	c := dial(t, models{})
	through[float32](t, c, []int64{2, 1}, 1.5, -2)
	through[float64](t, c, []int64{1}, 1e300)
	through[int8](t, c, []int64{2}, -128, 127)
	through[uint8](t, c, []int64{3}, 0, 7, 255)
	through[int16](t, c, []int64{1}, -32768)
	through[uint16](t, c, []int64{1}, 65535)
	through[int32](t, c, []int64{1, 1}, -5)
	through[uint32](t, c, []int64{1}, 1<<31)
	through[int64](t, c, nil, 16000)
	through[uint64](t, c, []int64{1}, 1<<63)
	through(t, c, []int64{2}, true, false)
	through[float32](t, c, []int64{0, 4})
}

func TestElementsOfBytes(t *testing.T) {
	c := dial(t, models{})
	var in client.Tensor
	if err := client.SetBytes(&in, "x", []byte("ab"), nil, []byte("c")); err != nil {
		t.Fatal(err)
	}
	result, err := c.Infer(t.Context(), client.Request{Model: "acme/echo", Inputs: []client.Tensor{in}})
	if err != nil || string(result.Output("x").Data) != "abc" {
		t.Errorf("got %q, %v", result.Output("x").Data, err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	c := dial(t, models{})
	for model, want := range map[string]error{
		"acme/busy": client.ErrOverloaded, "acme/none": client.ErrUnavailable, "acme/broken": client.ErrServer,
		"acme/picky": client.ErrRequest, "acme/unknown": client.ErrNotFound,
	} {
		if _, err := c.Infer(t.Context(), client.Request{Model: model}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", model, err, want)
		}
	}
	if err := c.Ready(t.Context(), "acme/echo", ""); err != nil {
		t.Error(err)
	}
	if err := c.Ready(t.Context(), "acme/none", ""); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("a model that is not ready: %v", err)
	}
	gone, err := client.New(client.Config{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Infer(t.Context(), client.Request{Model: "acme/echo"}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("no server: %v, want ErrUnavailable", err)
	}
	if err := gone.Close(); err != nil {
		t.Error(err)
	}
}

func TestDeadlineReachesTheModel(t *testing.T) {
	m := models{stopped: make(chan struct{})}
	c := dial(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Infer(ctx, client.Request{Model: "acme/slow"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	<-m.stopped // the run saw it
}

func TestBuffersAreUsedAgain(t *testing.T) {
	var in client.Tensor
	values := make([]float32, 512)
	shape := []int64{1, 512}
	var out []float32
	set := func() {
		if err := client.Set(&in, "x", shape, values); err != nil {
			t.Fatal(err)
		}
		var err error
		if out, err = client.Get(out[:0], in); err != nil {
			t.Fatal(err)
		}
	}
	set()
	if got := testing.AllocsPerRun(100, set); got > 1 { // the interface of values
		t.Errorf("%g allocations a request", got)
	}
}

func TestTensorsThatDoNotAgree(t *testing.T) {
	var in client.Tensor
	for _, shape := range [][]int64{{3}, {-1}, {1 << 62, 1 << 62}, nil} {
		if err := client.Set(&in, "x", shape, []float32{1, 2}); !errors.Is(err, client.ErrTensor) {
			t.Errorf("shape %v of two values: %v", shape, err)
		}
	}
	for _, bad := range []client.Tensor{
		{Datatype: "FP64", Shape: []int64{1}, Data: make([]byte, 8)},
		{Datatype: "FP32", Shape: []int64{1}, Data: make([]byte, 5)},
		{Datatype: "FP32", Shape: []int64{2}, Data: make([]byte, 4)},
		{},
	} {
		if _, err := client.Get[float32](nil, bad); !errors.Is(err, client.ErrTensor) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, bad := range []client.Config{{}, {Address: "x:1", MaxMessageBytes: -1}} {
		if _, err := client.New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
