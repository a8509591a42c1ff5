//go:build unix

package hook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

func release(version string) *modelrt.Release {
	return &modelrt.Release{Model: "acme/chat", Version: version, Dir: "/models/" + version, Entry: "chat.gguf"}
}

func TestCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "told")
	script := `echo "$DUNLIN_MODEL $DUNLIN_VERSION $DUNLIN_PATH $DUNLIN_PREVIOUS $SECRET" >> ` + out
	t.Setenv("SECRET", "do not pass on")
	s := Set{{Models: "acme/*", Command: []string{"/bin/sh", "-c", script}}, {Models: "other/*", Command: []string{"/bin/false"}}}
	if err := errors.Join(s.Validate(), s.Switch(t.Context(), nil, release("1")), s.Switch(t.Context(), release("1"), release("2"))); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	want := "acme/chat 1 /models/1/chat.gguf  \nacme/chat 2 /models/2/chat.gguf /models/1/chat.gguf \n"
	if err != nil || string(got) != want {
		t.Errorf("told %q, %v, want %q", got, err, want)
	}
	if !s.Matches("acme/chat") || s.Matches("evil/chat") {
		t.Error("patterns match what they should not")
	}
	s = Set{{Models: "*/*", Command: []string{"/bin/sh", "-c", "echo no luck >&2; exit 3"}}}
	if err := s.Switch(t.Context(), nil, release("1")); err == nil || !strings.Contains(err.Error(), "no luck") || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("got %v", err)
	}
	s = Set{{Models: "*/*", Command: []string{"/bin/sleep", "600"}, TimeoutSeconds: 1}}
	if err := s.Switch(t.Context(), nil, release("1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	s := Set{{Models: "acme/chat", Symlink: link}}
	for _, v := range []string{"1", "2", "1"} {
		if err := s.Switch(t.Context(), nil, release(v)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != release(v).Path() {
			t.Errorf("link to %s, %v", got, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Set{{Models: "acme/chat", Symlink: file}}).Switch(t.Context(), nil, release("1")); err == nil {
		t.Error("a file was replaced")
	}
}

func TestHTTP(t *testing.T) {
	var calls atomic.Int64
	var body, path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		body, path = string(text), r.URL.EscapedPath()
		switch {
		case strings.HasSuffix(path, "/refuses"):
			http.Error(w, "not now", http.StatusServiceUnavailable)
		case calls.Add(1) == 1:
			http.Error(w, "still starting", http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	s := Set{{Models: "acme/chat", HTTP: &HTTP{Method: "POST", URL: server.URL + "/v2/{name}/{version}/load", Body: `{"path":"{path}"}`, Retries: 2}}}
	odd := release(`1"/`)
	if err := errors.Join(s.Validate(), s.Switch(t.Context(), nil, odd)); err != nil {
		t.Fatal(err)
	}
	if path != "/v2/chat/1%22%2F/load" || body != `{"path":"/models/1\"/chat.gguf"}` || calls.Load() != 2 {
		t.Errorf("%s %s, %d calls", path, body, calls.Load())
	}
	s = Set{{Models: "acme/chat", HTTP: &HTTP{Method: "GET", URL: server.URL + "/refuses"}}}
	if err := s.Switch(t.Context(), nil, release("1")); err == nil || !strings.Contains(err.Error(), "503: not now") {
		t.Errorf("got %v", err)
	}
	s[0].HTTP.Status = http.StatusServiceUnavailable
	if err := s.Switch(t.Context(), nil, release("1")); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]Config{
		"nothing":          {Models: "a/b"},
		"two":              {Models: "a/b", Symlink: "/x", Command: []string{"/bin/true"}},
		"no pattern":       {Models: "[", Symlink: "/x"},
		"relative command": {Models: "a/b", Command: []string{"true"}},
		"relative link":    {Models: "a/b", Symlink: "../x"},
		"no url":           {Models: "a/b", HTTP: &HTTP{Method: "GET", URL: "file:///etc/passwd"}},
		"no method":        {Models: "a/b", HTTP: &HTTP{URL: "http://localhost/"}},
		"endless":          {Models: "a/b", Symlink: "/x", TimeoutSeconds: 1 << 20},
	} {
		if c.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
