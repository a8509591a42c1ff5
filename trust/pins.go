package trust

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Publisher is one pinned publisher.
type Publisher struct {
	// Name is the signed name, or the expected one while Root is 0 ("" if none
	// was given).
	Name        string      `json:"name"`
	Fingerprint Fingerprint `json:"fingerprint"`
	// Root is the version of the root that is believed; 0 while the publisher
	// is pinned by fingerprint and its root has not arrived.
	Root int64 `json:"root"`
	// Timestamp is the version of the head; 0 before the first update.
	Timestamp int64 `json:"timestamp"`
	// Models is how many models the publisher has signed for.
	Models int `json:"models"`
	// Expires is when the first of the metadata that all releases rest on
	// expires; zero before the first update. Stale says that it has.
	Expires time.Time `json:"expires"`
	Stale   bool      `json:"stale"`
	// Problem wraps ErrState where the publisher's state file is unusable, and
	// says what to do; all else is then zero except Fingerprint.
	Problem error `json:"-"`
}

// Pin begins to believe the publisher whose root version 1 is root, the file
// that Signer.Root exports. Durable when it returns. Pinning again is no
// error. Errors: ErrMalformed or ErrForged for a root that is not in order,
// ErrPinned if another publisher has this name here.
func (r *Registry) Pin(root []byte) (Publisher, error) {
	root = bytes.Clone(root)
	v, err := climb(&view{publisher: SumFingerprint(root)}, [][]byte{root})
	if err != nil {
		return Publisher{}, fmt.Errorf("pin: %w", err)
	}
	return r.pin(v)
}

// PinFingerprint begins to believe the publisher of that fingerprint, learning
// its root from whichever peer has it. name is the expected name, or "" to
// take the one in the root. Durable when it returns. Pinning again is no
// error. Errors: manifest.ErrName, or ErrPinned if another publisher has this
// name here or this publisher another name.
func (r *Registry) PinFingerprint(name string, fp Fingerprint) (Publisher, error) {
	if name != "" {
		if err := manifest.ValidatePublisher(name); err != nil {
			return Publisher{}, fmt.Errorf("pin: %w", err)
		}
	}
	if fp == (Fingerprint{}) {
		return Publisher{}, fmt.Errorf("pin: %w: the fingerprint is all zeros", ErrMalformed)
	}
	return r.pin(&view{publisher: fp, name: name})
}

// pin merges n, a view with at most a root, into what is pinned.
func (r *Registry) pin(n *view) (Publisher, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	held, err := r.view(n.publisher)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Publisher{}, fmt.Errorf("pin: %w", err)
	}
	if held != nil {
		if n.name != "" && held.name != "" && n.name != held.name {
			return Publisher{}, fmt.Errorf("pin: %w: publisher %s is %q here, not %q", ErrPinned, n.publisher, held.name, n.name)
		}
		if held.root != nil || n.root == nil && (n.name == "" || n.name == held.name) {
			return r.describe(held), nil
		}
	}
	if err := r.nameIsFree(n); err != nil {
		return Publisher{}, fmt.Errorf("pin: %w", err)
	}
	if err := n.save(r.path(n.publisher)); err != nil {
		return Publisher{}, fmt.Errorf("pin: %w", err)
	}
	r.publish(n)
	r.config.Logger.Info("publisher pinned", slog.String("publisher", n.publisher.String()), slog.String("name", n.name))
	return r.describe(n), nil
}

// nameIsFree says whether v may have its name here. Call under changing.
func (r *Registry) nameIsFree(v *view) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if other, ok := r.expects[v.name]; ok && v.name != "" && other != v.publisher {
		return fmt.Errorf("%w: %q is fingerprint %s here; unpin it before pinning %s, if the publisher confirms", ErrPinned, v.name, other, v.publisher)
	}
	return nil
}

// Unpin stops believing a publisher, named by its name or the text of its
// fingerprint, and forgets what was seen of it, the protection against old
// metadata included. Evidence is kept. Durable when it returns. The error
// wraps ErrUnknown if it is not pinned.
func (r *Registry) Unpin(nameOrFingerprint string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.RLock()
	fp, ok := r.expects[nameOrFingerprint]
	if !ok {
		if parsed, err := ParseFingerprint(nameOrFingerprint); err == nil {
			fp = parsed
		}
	}
	_, pinned := r.views[fp]
	_, isBroken := r.broken[fp]
	r.mu.RUnlock()
	if !pinned && !isBroken {
		return fmt.Errorf("unpin %.80q: %w: no such publisher is pinned", nameOrFingerprint, ErrUnknown)
	}
	if err := os.Remove(r.path(fp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpin: %w: %w", ErrState, err)
	}
	if err := durable.SyncDir(r.config.Dir); err != nil {
		return fmt.Errorf("unpin: %w: %w", ErrState, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.views[fp]; v != nil {
		delete(r.expects, v.name)
	}
	delete(r.views, fp)
	delete(r.broken, fp)
	r.config.Logger.Info("publisher unpinned", slog.String("publisher", fp.String()))
	return nil
}

// Publishers returns all pinned publishers by ascending name, those with a
// Problem included.
func (r *Registry) Publishers() []Publisher {
	var list []Publisher
	for _, v := range r.all() {
		list = append(list, r.describe(v))
	}
	r.mu.RLock()
	for fp, problem := range r.broken {
		list = append(list, Publisher{Fingerprint: fp, Problem: problem})
	}
	r.mu.RUnlock()
	slices.SortFunc(list, func(a, b Publisher) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Fingerprint.compare(b.Fingerprint))
	})
	return list
}

// Publisher returns the publisher of that name, if one is pinned.
func (r *Registry) Publisher(name string) (Publisher, bool) {
	v := r.byName(name)
	if v == nil {
		return Publisher{}, false
	}
	return r.describe(v), true
}

func (r *Registry) byName(name string) *view {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if fp, ok := r.expects[name]; ok {
		return r.views[fp]
	}
	return nil
}

func (r *Registry) describe(v *view) Publisher {
	have := v.have()
	p := Publisher{
		Name: v.name, Fingerprint: v.publisher,
		Root: have.Root, Timestamp: have.Timestamp,
		Models: len(v.roles), Expires: v.expires(""),
	}
	p.Stale = !p.Expires.IsZero() && r.now(v).After(p.Expires)
	return p
}
