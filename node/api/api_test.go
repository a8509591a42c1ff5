package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// clients returns two of a handler, in process and over HTTP.
func clients(t *testing.T, handler http.HandlerFunc) map[string]*Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return map[string]*Client{"local": Local(handler), "network": {http: &http.Client{Transport: through(server)}}}
}

// through sends every request to the server, whatever host it names.
func through(server *httptest.Server) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		req.URL.Host = strings.TrimPrefix(server.URL, "http://")
		return server.Client().Transport.RoundTrip(req)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Progress comes in order and before the result.
func TestStream(t *testing.T) {
	for name, c := range clients(t, func(out http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		w := NewWriter(out)
		for i := range 3 {
			w.Progress(Progress{What: "counting", Done: int64(i + 1), Total: 3})
		}
		if err := w.Finish(fmt.Sprintf("%s %s %s", req.Method, req.URL.Path, body), err); err != nil {
			t.Error(err)
		}
	}) {
		var seen []int64
		var result string
		err := c.Call(t.Context(), "count", map[string]int{"to": 3}, &result, func(p Progress) { seen = append(seen, p.Done) })
		if err != nil || fmt.Sprint(seen) != "[1 2 3]" || result != `POST /v1/count {"to":3}` {
			t.Errorf("%s: %v, %q, %v", name, seen, result, err)
		}
		if err := c.Call(t.Context(), "count", nil, &result, nil); err != nil || result != "GET /v1/count " {
			t.Errorf("%s: without a request: %q, %v", name, result, err)
		}
		if err := c.Call(t.Context(), "count", nil, nil, nil); err != nil {
			t.Errorf("%s: without a result: %v", name, err)
		}
	}
}

// Every failure has a code, and so an exit code.
func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter)
		code   Code
		exit   int
		says   string
	}{
		"usage":       {func(w http.ResponseWriter) { _ = NewWriter(w).Finish(nil, Errorf(CodeUsage, "no %s", "way")) }, CodeUsage, 2, "no way"},
		"unverified":  {func(w http.ResponseWriter) { _ = NewWriter(w).Finish(nil, Errorf(CodeUnverified, "bad")) }, CodeUnverified, 3, "bad"},
		"unreachable": {func(w http.ResponseWriter) { _ = NewWriter(w).Finish(nil, Errorf(CodeUnreachable, "gone")) }, CodeUnreachable, 4, "gone"},
		"budget":      {func(w http.ResponseWriter) { _ = NewWriter(w).Finish(nil, Errorf(CodeBudget, "dear")) }, CodeBudget, 5, "dear"},
		"any other":   {func(w http.ResponseWriter) { _ = NewWriter(w).Finish(nil, errors.New("disk")) }, CodeFailed, 1, "disk"},
		"wrapped": {func(w http.ResponseWriter) {
			_ = NewWriter(w).Finish(nil, fmt.Errorf("call: %w", Errorf(CodeBudget, "dear")))
		}, CodeBudget, 5, "dear"},
		"no JSON for the result": {func(w http.ResponseWriter) { _ = NewWriter(w).Finish(func() {}, nil) }, CodeFailed, 1, "unsupported type"},
		"goes away at once":      {func(http.ResponseWriter) {}, CodeUnreachable, 4, "went away in the middle"},
		"goes away in the middle": {func(w http.ResponseWriter) {
			NewWriter(w).Progress(Progress{What: "begun"})
		}, CodeUnreachable, 4, "went away in the middle"},
		"half a line":    {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"result": {"a"`) }, CodeUnreachable, 4, "went away in the middle"},
		"bad request":    {func(w http.ResponseWriter) { http.Error(w, "request: what?", http.StatusBadRequest) }, CodeUsage, 2, "call do: request: what?"},
		"unknown call":   {func(w http.ResponseWriter) { http.NotFound(w, nil) }, CodeFailed, 1, "does not know the call do"},
		"another status": {func(w http.ResponseWriter) { http.Error(w, "on fire", http.StatusInternalServerError) }, CodeFailed, 1, "on fire"},
	} {
		for kind, c := range clients(t, func(w http.ResponseWriter, _ *http.Request) { test.answer(w) }) {
			err := c.Call(t.Context(), "do", struct{}{}, nil, nil)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != test.code || e.ExitCode() != test.exit || !strings.Contains(e.Error(), test.says) {
				t.Errorf("%s, %s: %v; want %s, %d, %q", name, kind, err, test.code, test.exit, test.says)
			}
		}
	}
}

// A result that is not of the expected form is an error, not a guess.
func TestResultOfAnotherForm(t *testing.T) {
	c := Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = NewWriter(w).Finish("text", nil) }))
	var number int
	if err := c.Call(t.Context(), "do", nil, &number, nil); err == nil || !strings.Contains(err.Error(), "answer of the node") {
		t.Errorf("%v", err)
	}
}

// A caller who gives up ends the call: the handler sees its context end, and
// its goroutine is gone when Call returns. (A goroutine that stayed would make
// the bubble fail.)
func TestLocalCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := Local(http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
			w := NewWriter(out)
			w.Progress(Progress{What: "begun"})
			<-req.Context().Done()
			w.Progress(Progress{What: "nobody listens"})
			ended = true
		}))
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Call(ctx, "do", nil, nil, func(Progress) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if !ended {
			t.Error("Call returned before its handler")
		}
	})
}

// An answer that is not read to its end leaves no goroutine either.
func TestLocalBodyClosedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			w := NewWriter(out)
			for range 100 {
				w.Progress(Progress{What: "talking"})
			}
			if w.Finish(nil, nil) == nil {
				t.Error("the last line reached somebody")
			}
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://node/v1/talk", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := local{handler}.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Progress may come from several goroutines; lines never mix.
func TestWriterIsShared(t *testing.T) {
	c := Local(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		w := NewWriter(out)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 50 {
					w.Progress(Progress{What: "talking"})
				}
			})
		}
		group.Wait()
		_ = w.Finish("done", nil)
	}))
	count := 0
	if err := c.Call(t.Context(), "talk", nil, nil, func(Progress) { count++ }); err != nil || count != 200 {
		t.Errorf("%d lines, %v", count, err)
	}
}

func TestDialNobody(t *testing.T) {
	if _, ok := Dial(t.Context(), t.TempDir()); ok {
		t.Error("somebody answers where nobody lives")
	}
}
