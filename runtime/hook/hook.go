// Package hook tells other programs that another release of a model is active:
// by running a command, by flipping a symbolic link, by an HTTP call. It is how
// llama.cpp, Triton or a TFLite service are updated by the mesh.
//
// A [Set] runs, in order, every hook whose pattern matches the model. One that
// fails ends the switch; the caller then switches back, with the releases the
// other way round, so hooks must stand being told again what they were told
// already. What a hook may take is bounded by its timeout.
//
// Commands are run without a shell, in a process of their own that ends with
// this one, with DUNLIN_MODEL, DUNLIN_VERSION, DUNLIN_PATH and DUNLIN_PREVIOUS
// in their environment. A link is replaced atomically by rename(2): who opens it
// finds the old release or the new one. Paths are those of the verified files,
// which must not be changed.
package hook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Config is one hook: exactly one of Command, Symlink and HTTP.
type Config struct {
	// Models is the model it is for, or a pattern as path.Match has it, such as
	// "acme/*".
	Models string `json:"models"`
	// Command is a program by its absolute path, and its arguments.
	Command []string `json:"command,omitempty"`
	// Symlink is the absolute path of a link to the active release's files. Its
	// folder must exist.
	Symlink string `json:"symlink,omitempty"`
	// HTTP is a request.
	HTTP *HTTP `json:"http,omitempty"`
	// TimeoutSeconds bounds one run of it, 1 to 3600; 0, as the default, is 60.
	TimeoutSeconds int `json:"timeout_seconds,omitempty"`
}

// HTTP is a request. In URL, {model}, {name} (without its publisher), {version},
// {path} and {previous} stand for what is switched to, escaped.
type HTTP struct {
	Method string `json:"method"` // GET, POST or PUT
	URL    string `json:"url"`
	// Body is sent with POST and PUT, as application/json; the same words stand
	// in it for JSON strings without their quotes.
	Body string `json:"body,omitempty"`
	// Status is the one that means success; 0, as the default, is any 2xx.
	Status int `json:"status,omitempty"`
	// Retries is how often it is tried again, a second later, 0 to 100.
	Retries int `json:"retries,omitempty"`
}

// maxHooks bounds a set.
const maxHooks = 100

// Validate refuses what cannot work.
func (c Config) Validate() error {
	if _, err := path.Match(c.Models, "acme/vad"); err != nil || c.Models == "" {
		return fmt.Errorf("models %q is no pattern", c.Models)
	}
	kinds := 0
	for _, is := range []bool{len(c.Command) > 0, c.Symlink != "", c.HTTP != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return fmt.Errorf("a hook for %s needs one of command, symlink, http", c.Models)
	case len(c.Command) > 0 && !filepath.IsAbs(c.Command[0]):
		return fmt.Errorf("command %q is not an absolute path", c.Command[0])
	case c.Symlink != "" && (!filepath.IsAbs(c.Symlink) || filepath.Clean(c.Symlink) != c.Symlink || c.Symlink == "/"):
		return fmt.Errorf("symlink %q is not a clean absolute path", c.Symlink)
	case c.TimeoutSeconds < 0 || c.TimeoutSeconds > 3600:
		return fmt.Errorf("timeout_seconds %d is not within 0 and 3600", c.TimeoutSeconds)
	case c.HTTP != nil:
		return c.HTTP.validate()
	}
	return nil
}

func (h HTTP) validate() error {
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("url %q is no http URL", h.URL)
	case h.Method != "GET" && h.Method != "POST" && h.Method != "PUT":
		return fmt.Errorf("method %q is none of GET, POST, PUT", h.Method)
	case h.Method == "GET" && h.Body != "":
		return errors.New("a GET has no body")
	case h.Status != 0 && (h.Status < 100 || h.Status > 599):
		return fmt.Errorf("status %d is no HTTP status", h.Status)
	case h.Retries < 0 || h.Retries > 100:
		return fmt.Errorf("retries %d is not within 0 and 100", h.Retries)
	}
	return nil
}

// Set is the hooks of a node; it implements modelrt.Hooks. Safe for concurrent
// use.
type Set []Config

// Validate checks every hook.
func (s Set) Validate() error {
	if len(s) > maxHooks {
		return fmt.Errorf("%d hooks, at most %d", len(s), maxHooks)
	}
	for i, c := range s {
		if err := c.Validate(); err != nil {
			return fmt.Errorf("hook %d: %w", i+1, err)
		}
	}
	return nil
}

// Matches says whether a hook is for the model.
func (s Set) Matches(model string) bool {
	for _, c := range s {
		if c.matches(model) {
			return true
		}
	}
	return false
}

func (c Config) matches(model string) bool {
	ok, err := path.Match(c.Models, model)
	return ok && err == nil
}

// Switch runs the hooks for to's model; see modelrt.Hooks.
func (s Set) Switch(ctx context.Context, from, to *modelrt.Release) error {
	for i, c := range s {
		if !c.matches(to.Model) {
			continue
		}
		if err := c.run(ctx, from, to); err != nil {
			return fmt.Errorf("hook %d for %s: %w", i+1, c.Models, err)
		}
	}
	return nil
}

func (c Config) run(ctx context.Context, from, to *modelrt.Release) error {
	timeout := time.Minute
	if c.TimeoutSeconds > 0 {
		timeout = time.Duration(c.TimeoutSeconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	words := wordsOf(from, to)
	switch {
	case len(c.Command) > 0:
		return command(ctx, c.Command, words)
	case c.Symlink != "":
		return flip(c.Symlink, words["path"])
	}
	return c.HTTP.call(ctx, words)
}

// wordsOf is what a hook is told.
func wordsOf(from, to *modelrt.Release) map[string]string {
	name := to.Model[strings.LastIndexByte(to.Model, '/')+1:]
	words := map[string]string{"model": to.Model, "name": name, "version": to.Version, "path": to.Path(), "previous": ""}
	if from != nil {
		words["previous"] = from.Path()
	}
	return words
}
