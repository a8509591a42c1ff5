package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

var discard = slog.New(slog.DiscardHandler)

// patience bounds everything that a test waits for; nothing takes nearly as long.
const patience = 30 * time.Second

// quietConfig is that of a node which nobody outside the test meets.
func quietConfig() Config {
	c := DefaultConfig()
	c.Preset, c.Listen, c.NoMDNS = LAN, []string{"/ip4/127.0.0.1/tcp/0"}, true
	return c
}

// newHome makes a home for quietConfig with some changes.
func newHome(t *testing.T, change func(*Config)) string {
	t.Helper()
	dir, c := t.TempDir(), quietConfig()
	if change != nil {
		change(&c)
	}
	if _, err := Init(dir, c); err != nil {
		t.Fatal(err)
	}
	return dir
}

// bystander is a node on the network, and its local API.
type bystander struct {
	*api.Client
	node *Node
	log  *listener
	stop func() // stops and closes the node; may be called again
}

// start runs a node in the home; engine may be nil.
func start(t *testing.T, dir string, engine *fakeEngine) *bystander {
	t.Helper()
	heard := &listener{}
	o := Options{Dir: dir, Logger: slog.New(heard)}
	if engine != nil {
		o.Engine, o.Prober = engine, engine
	}
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	up := heard.expect("node is up")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	b := &bystander{Client: api.Local(n.Handler()), node: n, log: heard}
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, n.Close()); err != nil {
			t.Errorf("node ended with %v", err)
		}
	})
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			heard.mu.Lock()
			defer heard.mu.Unlock()
			t.Logf("%s said:\n%s", n.id, strings.Join(heard.lines, "\n"))
		}
	})
	select {
	case <-up:
	case err := <-ended:
		ended <- err
		t.Fatalf("node does not run: %v", err)
	}
	return b
}

// must makes a call that has to succeed.
func must[Res any](t *testing.T, b *bystander, name string, req any) Res {
	t.Helper()
	var res Res
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Second)
	defer cancel()
	if err := b.Call(ctx, name, req, &res, nil); err != nil {
		t.Fatalf("%s %+v: %v", name, req, err)
	}
	return res
}

// refused makes a call that has to fail with a code and a message.
func refused(t *testing.T, b *bystander, name string, req any, code api.Code, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Second)
	defer cancel()
	err := b.Call(ctx, name, req, nil, nil)
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, says) {
		t.Fatalf("%s %+v: %v; want code %s and %q", name, req, err, code, says)
	}
}

func (b *bystander) address(t *testing.T) string {
	t.Helper()
	return must[api.Status](t, b, "status", nil).Addresses[0]
}

// model returns what status says of one model.
func (b *bystander) model(t *testing.T, m manifest.Model) api.Model {
	t.Helper()
	for _, have := range must[api.Status](t, b, "status", nil).Models {
		if have.Model == m {
			return have
		}
	}
	t.Fatalf("status does not mention %s", m)
	return api.Model{}
}

// publisher starts a node with the publisher acme and returns its root.
func publisher(t *testing.T) (*bystander, []byte) {
	t.Helper()
	b := start(t, newHome(t, at("press")), nil)
	return b, must[api.PublisherRoot](t, b, "publisher/create", api.PublisherRequest{Name: "acme"}).Root
}

// at puts a node at a site of that name: out of the sites of all nodes with other
// labels, though not of those with none.
func at(label string) func(*Config) { return func(c *Config) { c.Site = label } }

// neighbour starts a node that is connected to another and believes a root.
func neighbour(t *testing.T, of *bystander, root []byte, engine *fakeEngine, change func(*Config)) *bystander {
	t.Helper()
	address := of.address(t)
	b := start(t, newHome(t, func(c *Config) {
		c.Bootstrap = []string{address}
		if change != nil {
			change(c)
		}
	}), engine)
	must[api.Publisher](t, b, "trust", api.TrustRequest{Root: root})
	return b
}

// publish makes a release of content in a file of that name.
func publish(t *testing.T, b *bystander, m manifest.Model, version, file string, content []byte) api.PublishResult {
	t.Helper()
	return must[api.PublishResult](t, b, "publish", api.PublishRequest{Path: fileOf(t, file, content), Model: m, Version: version})
}

func fileOf(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// arrive waits until the version is on the node and returns its first file.
func arrive(t *testing.T, b *bystander, m manifest.Model, version string) []byte {
	t.Helper()
	must[api.Model](t, b, "wait", api.WaitRequest{Model: m, Version: version, Timeout: patience})
	at := must[api.PathResult](t, b, "path", api.ModelRequest{Model: m, Version: version})
	content, err := os.ReadFile(at.Files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// random returns bytes that compress no better than real weights, the same for
// the same seed.
func random(seed byte, size int) []byte {
	out := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(out)
	return out
}

// listener is a log in which a test can wait for a message.
type listener struct {
	mu      sync.Mutex // owns the rest
	lines   []string
	awaited map[string]chan struct{}
}

// expect returns a channel that is closed once a record with the message comes.
func (l *listener) expect(message string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awaited == nil {
		l.awaited = make(map[string]chan struct{})
	}
	c := make(chan struct{})
	l.awaited[message] = c
	return c
}

// said says whether a record with the message came.
func (l *listener) said(message string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, message) {
			return true
		}
	}
	return false
}

func (*listener) Enabled(context.Context, slog.Level) bool { return true }

func (l *listener) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.lines = append(l.lines, line)
	if c := l.awaited[r.Message]; c != nil {
		close(c)
		delete(l.awaited, r.Message)
	}
	return nil
}

func (l *listener) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *listener) WithGroup(string) slog.Handler      { return l }

// fakeEngine "runs" ONNX files, and proves that a release is switched to: a
// session answers with the last byte of its file. Files that contain "bad" do
// not load while heal is false.
type fakeEngine struct {
	loading func() // called in Load, if not nil

	mu   sync.Mutex // owns heal
	heal bool
}

func (*fakeEngine) Info() modelrt.Info { return modelrt.Info{Name: "fake"} }

// Probe stands for the child process.
func (e *fakeEngine) Probe(_ context.Context, t modelrt.Trial) (modelrt.Report, error) {
	return modelrt.Report{}, e.check(t.Path)
}

func (e *fakeEngine) check(path string) error {
	content, err := os.ReadFile(path)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil || (!e.heal && strings.Contains(string(content), "bad")) {
		return fmt.Errorf("%w: %s: it is bad (%w)", modelrt.ErrLoad, path, err)
	}
	return nil
}

func (e *fakeEngine) Load(_ context.Context, path string) (modelrt.Session, error) {
	if e.loading != nil {
		e.loading()
	}
	if err := e.check(path); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	return fakeSession(content[len(content)-1]), err
}

type fakeSession byte

func (fakeSession) Signature() modelrt.Signature {
	return modelrt.Signature{
		Inputs:  []modelrt.Port{{Name: "x", DType: modelrt.U8, Shape: []int64{-1, 2}}},
		Outputs: []modelrt.Port{{Name: "y", DType: modelrt.U8, Shape: []int64{1}}},
	}
}

func (s fakeSession) Run(context.Context, map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	return map[string]modelrt.Tensor{"y": {DType: modelrt.U8, Shape: []int64{1}, Data: []byte{byte(s)}}}, nil
}

func (fakeSession) Close() error { return nil }

// onnx returns an ONNX model of one initializer, with a doc string, in which the
// given byte is the last one (onnx.proto3: ModelProto 1, 6, 8, 7, GraphProto 2, 5,
// TensorProto 1, 2, 8, 9).
func onnx(doc string, last byte) []byte {
	field := func(n int, content []byte) []byte {
		return append(binary.AppendUvarint([]byte{byte(n<<3 | 2)}, uint64(len(content))), content...)
	}
	number := func(n int, v uint64) []byte { return binary.AppendUvarint([]byte{byte(n << 3)}, v) }
	var weights []byte
	for i := range 4096 {
		weights = binary.LittleEndian.AppendUint32(weights, math.Float32bits(float32(i)))
	}
	weights[len(weights)-1] = last
	tensor := append(append(append(number(1, 4096), number(2, 1)...), field(8, []byte("w"))...), field(9, weights)...)
	graph := append(field(2, []byte("g")), field(5, tensor)...)
	model := append(append(number(1, 8), field(6, []byte(doc))...), field(8, number(2, 17))...)
	return append(model, field(7, graph)...)
}
