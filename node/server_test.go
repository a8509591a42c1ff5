package node

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// A request that is not understood is refused, and the answer says why.
func TestRequestsAreStrict(t *testing.T) {
	n, err := Open(Options{Dir: newHome(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/v1/status", "", 200, `"result"`},
		{"POST", "/v1/follow", `{"models": ["acme/vad"]}`, 200, `"follow":["acme/vad"],"carry":[]`},
		{"POST", "/v1/follow", `{"models": ["acme"]}`, 200, `"code":"usage"`},
		{"POST", "/v1/follow", `{"model": "acme/vad"}`, 400, `unknown field "model"`},
		{"POST", "/v1/follow", `{"models": []} {}`, 400, "more than one"},
		{"POST", "/v1/follow", `models`, 400, "request: invalid"},
		{"POST", "/v1/follow", ``, 400, "EOF"},
		{"POST", "/v1/status", `{}`, 405, ""},
		{"GET", "/v1/nothing", "", 404, ""},
		{"GET", "/metrics", "", 200, "dunlin_store_bytes"},
	} {
		w := httptest.NewRecorder()
		n.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body)))
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s %s %s: %d %s; want %d %q", test.method, test.path, test.body, w.Code, w.Body, test.status, test.says)
		}
	}
	client := &bystander{Client: api.Local(n.Handler())}
	refused(t, client, "follow", map[string]any{"mod": 1}, api.CodeUsage, `unknown field "mod"`)
	refused(t, client, "dance", struct{}{}, api.CodeFailed, "does not know the call dance")
	refused(t, client, "path", api.ModelRequest{Model: "acme/vad"}, api.CodeUnreachable, "no whole release of acme/vad")
	refused(t, client, "publish", api.PublishRequest{Model: "acme/vad", Version: "1", Path: "vad.onnx"}, api.CodeUsage, "not absolute")
	refused(t, client, "publish", api.PublishRequest{Model: "acme/vad", Version: "1", Path: "/none"}, api.CodeFailed, "dunlin publisher create acme")
	refused(t, client, "trust", api.TrustRequest{Fingerprint: "12"}, api.CodeUsage, "fingerprint")
	refused(t, client, "publisher/export", api.PublisherRequest{Name: "acme"}, api.CodeFailed, "has no keys on this node")
}

// The socket answers its owner only. What a crashed process left is replaced.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), api.SocketName)
	stale, err := listenSocket(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	unix, ok := stale.(*net.UnixListener)
	if !ok {
		t.Fatalf("listens on %T", stale)
	}
	unix.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	fresh, err := listenSocket(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketPath))
	if _, err := listenSocket(t.Context(), long); err == nil || !strings.Contains(err.Error(), "shorter --dir") {
		t.Errorf("a long path: %v", err)
	}
}

// A running node answers on its socket and its metrics address, can run again,
// and leaves nothing behind when it stops.
func TestRunAndStop(t *testing.T) {
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	dir := newHome(t, func(c *Config) { c.Metrics = address })
	n, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "serve metrics on "+address) {
		t.Errorf("runs although the metrics address is taken: %v", err)
	}
	if err := errors.Join(n.Close(), taken.Close()); err != nil {
		t.Fatal(err)
	}
	if left := goroutinesOf(t); len(left) != 0 {
		t.Errorf("a failed start leaves %d goroutines:\n%s", len(left), strings.Join(left, "\n\n"))
	}

	for range 2 {
		b := start(t, dir, nil)
		var client *api.Client
		for ok := false; !ok; client, ok = api.Dial(t.Context(), dir) {
			if t.Context().Err() != nil {
				t.Fatal("the socket is never there")
			}
		}
		var s api.Status
		if err := client.Call(t.Context(), "status", nil, &s, nil); err != nil || !s.Running || len(s.Addresses) == 0 {
			t.Errorf("status over the socket: %+v, %v", s, err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || !strings.Contains(string(text), "dunlin_peers 0") {
			t.Errorf("metrics: %v\n%.300s", err, text)
		}
		b.stop()
		if left := goroutinesOf(t); len(left) != 0 {
			t.Errorf("%d goroutines remain:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		if _, ok := api.Dial(t.Context(), dir); ok {
			t.Error("somebody still answers")
		}
	}
}

// goroutinesOf returns the stacks of goroutines that run code of this module,
// save those of tests; it gives those that are just ending a moment.
func goroutinesOf(t *testing.T) []string {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		var all strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&all, 2); err != nil {
			t.Fatal(err)
		}
		left = left[:0]
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(stack, "dunlin-mesh/dunlin/") && !strings.Contains(stack, "testing.tRunner") && !strings.Contains(stack, "_test.go") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return nil
		}
	}
	return left
}
