package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of what an operator may ask for.
const (
	maxRules        = 4096 // models and patterns together
	maxPatternBytes = 256
)

// rules are what the operator told the node to follow (run) and to carry (pass
// on), durable as follow.json. Safe for concurrent use.
type rules struct {
	path string

	mu    sync.Mutex // owns the rest
	lists ruleLists
}

// ruleLists is the form of follow.json. Files of earlier versions have no limits.
type ruleLists struct {
	Follow []string         `json:"follow"`           // models
	Carry  []string         `json:"carry"`            // patterns as path.Match has them
	Limits map[string]limit `json:"limits,omitempty"` // of patterns in Carry that have any
}

func loadRules(dir string) (*rules, error) {
	r := &rules{path: filepath.Join(dir, followName)}
	data, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what to follow: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r.lists); err != nil {
		return nil, fmt.Errorf("%s: %w", r.path, err)
	}
	if err := errors.Join(checkModels(r.lists.Follow), checkPatterns(r.lists.Carry), checkLimits(r.lists)); err != nil {
		return nil, fmt.Errorf("%s: %w", r.path, err)
	}
	return r, nil
}

// follow adds models; it refuses a text that names none.
func (r *rules) follow(models []string) error {
	if err := checkModels(models); err != nil {
		return err
	}
	return r.change(func(l *ruleLists) { l.Follow = merge(l.Follow, models) })
}

// carry adds patterns such as "acme/*", or changes the limits of those that are
// there.
func (r *rules) carry(patterns []string, c limitChange) error {
	if err := checkPatterns(patterns); err != nil {
		return err
	}
	return r.change(func(l *ruleLists) {
		l.Carry = merge(l.Carry, patterns)
		for _, p := range patterns {
			l.limit(p, c)
		}
	})
}

func checkModels(models []string) error {
	for _, m := range models {
		if _, err := manifest.ParseModel(m); err != nil {
			return err
		}
	}
	return nil
}

// checkPatterns refuses what path.Match does not take, and what can match no
// model since it has not exactly one slash.
func checkPatterns(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, "publisher/name"); err != nil || strings.Count(p, "/") != 1 || len(p) > maxPatternBytes {
			return fmt.Errorf("%w: carry pattern %.80q (want a form such as acme/vad, acme/* or */*)", manifest.ErrName, p)
		}
	}
	return nil
}

// drop removes models and patterns and returns those that were there.
func (r *rules) drop(texts []string) (dropped []string, err error) {
	err = r.change(func(l *ruleLists) {
		for _, list := range []*[]string{&l.Follow, &l.Carry} {
			*list = slices.DeleteFunc(*list, func(have string) bool {
				if !slices.Contains(texts, have) {
					return false
				}
				dropped = append(dropped, have)
				return true
			})
		}
	})
	return dropped, err
}

// change edits a copy and keeps it only once it is durable.
func (r *rules) change(edit func(*ruleLists)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := ruleLists{Follow: slices.Clone(r.lists.Follow), Carry: slices.Clone(r.lists.Carry), Limits: maps.Clone(r.lists.Limits)}
	edit(&next)
	maps.DeleteFunc(next.Limits, func(pattern string, _ limit) bool { return !slices.Contains(next.Carry, pattern) })
	if n := len(next.Follow) + len(next.Carry); n > maxRules {
		return fmt.Errorf("%d models and patterns to follow or carry, at most %d", n, maxRules)
	}
	data, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return fmt.Errorf("write what to follow: %w", err)
	}
	if err := durable.WriteFile(r.path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	r.lists = next
	return nil
}

func merge(have, more []string) []string {
	have = append(have, more...)
	slices.Sort(have)
	return slices.Compact(have)
}

// follows says whether the model is followed.
func (r *rules) follows(m manifest.Model) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.lists.Follow, string(m))
}

// carries says whether a pattern that has not expired matches the model.
func (r *rules) carries(m manifest.Model) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lists.Carry, func(p string) bool { return !r.lists.Limits[p].expired(now) && match(p, m) })
}

// matches says whether one of the patterns matches the model.
func matches(patterns []string, m manifest.Model) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, m) })
}

func match(pattern string, m manifest.Model) bool {
	ok, err := path.Match(pattern, string(m))
	return err == nil && ok
}

// followed returns the models that are followed, in order.
func (r *rules) followed() []manifest.Model {
	r.mu.Lock()
	defer r.mu.Unlock()
	models := make([]manifest.Model, len(r.lists.Follow))
	for i, m := range r.lists.Follow {
		models[i] = manifest.Model(m)
	}
	return models
}

// patterns returns what is carried, in order; never nil.
func (r *rules) patterns() []string {
	out := []string{}
	for _, c := range r.carried() {
		out = append(out, c.pattern)
	}
	return out
}
