package serve_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// fake is a set of models made of functions.
type fake struct {
	mu     sync.Mutex
	models map[string]served // by name@version
}

type served struct {
	serve.Model
	run func(ctx context.Context, r serve.Request) (map[string]modelrt.Tensor, error)
}

func (f *fake) put(m served) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.models == nil {
		f.models = make(map[string]served)
	}
	m.Platform, m.Versions = "onnxruntime_onnx", []string{m.Version}
	f.models[m.Name+"@"+m.Version] = m
}

func (f *fake) find(name, version string) (served, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(f.models)) {
		if m := f.models[key]; m.Name == name && (version == "" || m.Version == version) {
			if !m.Ready {
				return m, fmt.Errorf("%s: %w: %s", name, modelrt.ErrNotActive, m.Reason)
			}
			return m, nil
		}
	}
	return served{}, fmt.Errorf("%w %q", serve.ErrUnknownModel, name)
}

func (f *fake) Model(name, version string) (serve.Model, error) {
	m, err := f.find(name, version)
	return m.Model, err
}

func (f *fake) List() []serve.Model {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []serve.Model
	for _, key := range slices.Sorted(maps.Keys(f.models)) {
		out = append(out, f.models[key].Model)
	}
	return out
}

func (f *fake) Infer(ctx context.Context, r serve.Request) (serve.Response, error) {
	m, err := f.find(r.Model, r.Version)
	if err != nil {
		return serve.Response{}, err
	}
	outputs, err := m.run(ctx, r)
	var sig modelrt.Signature
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		sig.Outputs = append(sig.Outputs, modelrt.Port{Name: name, DType: outputs[name].DType})
	}
	return serve.Response{Version: m.Version, Signature: sig, Outputs: outputs}, err
}

// echo gives each input back under its own name, and the elements of BYTES as
// one tensor of bytes.
func echo(_ context.Context, r serve.Request) (map[string]modelrt.Tensor, error) {
	out := make(map[string]modelrt.Tensor)
	for name, in := range r.Inputs {
		if in.DType == modelrt.STRING {
			joined := []byte(strings.Join(texts(in.Bytes), "|"))
			out[name] = modelrt.Tensor{DType: modelrt.U8, Shape: []int64{int64(len(joined))}, Data: joined}
			continue
		}
		if err := in.Validate(); err != nil {
			return nil, err
		}
		out[name] = modelrt.Tensor{DType: in.DType, Shape: in.Shape, Data: slices.Clone(in.Data)}
	}
	return out, nil
}

func texts(elements [][]byte) []string {
	out := make([]string, len(elements))
	for i, e := range elements {
		out[i] = string(e)
	}
	return out
}

// all types of elements, one port each, called in-f32 and so on.
func allPorts() []modelrt.Port {
	var ports []modelrt.Port
	for _, d := range []modelrt.DType{
		modelrt.F32, modelrt.F64, modelrt.F16, modelrt.BF16, modelrt.I8, modelrt.U8, modelrt.I16, modelrt.U16,
		modelrt.I32, modelrt.U32, modelrt.I64, modelrt.U64, modelrt.BOOL, modelrt.STRING,
	} {
		ports = append(ports, modelrt.Port{Name: "in-" + string(d), DType: d, Shape: []int64{-1, 2}})
	}
	return ports
}

// newFake has acme/echo in version 6.2.0, acme/slow, which runs until it is
// stopped, and models that fail, each in its way.
func newFake() *fake {
	f := new(fake)
	ports := allPorts()
	f.put(served{run: echo, Model: serve.Model{Name: "acme/echo", Version: "6.2.0", Ready: true, Signature: modelrt.Signature{Inputs: ports, Outputs: ports}}})
	f.put(served{Model: serve.Model{Name: "acme/slow", Version: "1", Ready: true}, run: func(ctx context.Context, _ serve.Request) (map[string]modelrt.Tensor, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	failing := func(name string, err error) {
		f.put(served{Model: serve.Model{Name: name, Version: "1", Ready: true}, run: func(context.Context, serve.Request) (map[string]modelrt.Tensor, error) {
			return nil, fmt.Errorf("infer: %w", err)
		}})
	}
	failing("acme/broken", modelrt.ErrRun)
	failing("acme/busy", modelrt.ErrOverloaded)
	failing("acme/picky", modelrt.ErrInput)
	failing("acme/odd", fmt.Errorf("nobody foresaw this"))
	return f
}

// started is a server that runs until the test ends, or stop is called.
type started struct {
	*serve.Server
	base string // http://...
	grpc string
	stop func()
}

func start(t testing.TB, models serve.Models, change func(c *serve.Config)) started {
	t.Helper()
	config := serve.Config{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", Models: models, Version: "9.9", Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := serve.New(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	out := started{Server: s, stop: stop}
	out.base, out.grpc = s.Addresses()
	out.base = "http://" + out.base
	return out
}

// client returns a gRPC client with the package's codec.
func (s started) client(t testing.TB, options ...grpc.DialOption) pb.GRPCInferenceServiceClient {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})))
	conn, err := grpc.NewClient(s.grpc, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return pb.NewGRPCInferenceServiceClient(conn)
}

// do sends a request and returns status, headers and body.
func (s started) do(t testing.TB, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}
