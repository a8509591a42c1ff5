package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// SocketName is the Unix socket in a node's home.
const SocketName = "api.sock"

// Client calls a node. Safe for concurrent use.
type Client struct {
	http *http.Client
}

// Dial returns a client of the node that runs in the home dir, false if none
// answers there.
func Dial(ctx context.Context, dir string) (*Client, bool) {
	path := filepath.Join(dir, SocketName)
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, false
	}
	_ = conn.Close()
	// A connection a call: clients come and go, and nobody closes them.
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}}
	return &Client{&http.Client{Transport: transport}}, true
}

// Local returns a client of handler, called inside this process.
func Local(handler http.Handler) *Client {
	return &Client{&http.Client{Transport: local{handler}}}
}

// Call sends request (nil for none) to /v1/name and reads the answer into
// result (nil to drop it). Progress events go to onProgress (nil to drop
// them), in order, from the calling goroutine. A failure that the node reports
// is an *[Error].
func (c *Client) Call(ctx context.Context, name string, request, result any, onProgress func(Progress)) error {
	method, body := http.MethodGet, []byte(nil)
	if request != nil {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(request); err != nil {
			return fmt.Errorf("call %s: %w", name, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://node/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", name, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return Errorf(CodeUnreachable, "call %s: %v", name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return refusal(name, resp, string(bytes.TrimSpace(text)))
	}
	err = read(resp.Body, onProgress, result)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// refusal says what an answer means that is no stream of events.
func refusal(name string, resp *http.Response, text string) error {
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return Errorf(CodeUsage, "call %s: %s", name, text)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return Errorf(CodeFailed, "the node does not know the call %s: it runs another version of this software, restart it", name)
	}
	return Errorf(CodeFailed, "call %s: %s: %s", name, resp.Status, text)
}

// local is a transport that runs the handler in a goroutine of its own; the
// goroutine is gone once the body has been read to its end or closed.
type local struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (l local) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	r, w := io.Pipe()
	out := &pipeResponse{pipe: w, header: make(http.Header), started: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if req.Body != nil {
			defer req.Body.Close()
		}
		l.handler.ServeHTTP(out, req.WithContext(ctx))
		out.WriteHeader(http.StatusOK)
		_ = w.Close()
	}()
	body := &localBody{Reader: r, close: func() { cancel(); _ = r.Close(); <-done }}
	status := <-out.started
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.header, Body: body, Request: req, ContentLength: -1,
	}, nil
}

type localBody struct {
	io.Reader
	close func()
}

func (b *localBody) Close() error { b.close(); return nil }

// pipeResponse is the handler's side of a local call; one goroutine writes.
type pipeResponse struct {
	pipe    *io.PipeWriter
	header  http.Header
	started chan int
	begun   bool
}

func (p *pipeResponse) Header() http.Header { return p.header }

func (p *pipeResponse) WriteHeader(status int) {
	if !p.begun {
		p.begun = true
		p.started <- status
	}
}

func (p *pipeResponse) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.pipe.Write(b)
}
