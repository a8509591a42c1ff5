package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/internal/excerpt"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// maxSaid bounds what is kept of what a command or a server says.
const maxSaid = 2 << 10

// command runs a program.
func command(ctx context.Context, args []string, words map[string]string) error {
	said := excerpt.New(maxSaid)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(limit.Environ(),
		"DUNLIN_MODEL="+words["model"], "DUNLIN_VERSION="+words["version"],
		"DUNLIN_PATH="+words["path"], "DUNLIN_PREVIOUS="+words["previous"])
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = 2 * time.Second
	err := limit.Run(cmd, limit.Limits{})
	if ctx.Err() != nil {
		return fmt.Errorf("command %s: %w%s", args[0], ctx.Err(), said.Said())
	}
	if err != nil {
		return fmt.Errorf("command %s: %w%s", args[0], err, said.Said())
	}
	return nil
}

// flip has the link at path name target, atomically. What is there and is no
// link is left alone.
func flip(path, target string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("symlink: %w", err)
	case info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("symlink %s: something is there that is no link", path)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".dunlin-link-")
	if err != nil {
		return fmt.Errorf("symlink: %w", err)
	}
	next := filepath.Join(dir, "next")
	if err = os.Symlink(target, next); err == nil {
		err = os.Rename(next, path)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("symlink: %w", err)
	}
	return nil
}

// call sends the request, and again where that fails.
func (h HTTP) call(ctx context.Context, words map[string]string) error {
	for try := 0; ; try++ {
		err := h.once(ctx, words)
		if err == nil || try >= h.Retries || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

func (h HTTP) once(ctx context.Context, words map[string]string) error {
	address := put(h.URL, words, url.PathEscape)
	var body io.Reader
	if h.Body != "" {
		body = strings.NewReader(put(h.Body, words, inJSON))
	}
	req, err := http.NewRequestWithContext(ctx, h.Method, address, body)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// A connection a call, and no credentials from elsewhere: a redirect is an
	// answer like any other.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxSaid))
	_ = resp.Body.Close()
	if (h.Status == 0 && resp.StatusCode/100 == 2) || resp.StatusCode == h.Status {
		return nil
	}
	said := excerpt.New(maxSaid)
	_, _ = said.Write(text)
	return fmt.Errorf("http %s %s: status %d%s", h.Method, address, resp.StatusCode, said.Said())
}

// put puts words in place of {word}, all at once, so that no word is looked for
// in another.
func put(text string, words map[string]string, escape func(string) string) string {
	var pairs []string
	for word, value := range words {
		pairs = append(pairs, "{"+word+"}", escape(value))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// inJSON escapes a text for a JSON string.
func inJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil { // a string always encodes
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}
