package trust

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// Names inside Config.Dir and a publisher's folder.
const (
	stateSuffix    = ".state" // after the fingerprint
	evidenceFolder = "evidence"
	lockFile       = "lock"
)

// Registry is a node's memory of publishers: pins, newest verified metadata,
// what every version meant. It is safe for concurrent use; readers never wait
// for verification or for the disk.
//
// On disk: Dir/<fingerprint>.state for each publisher, replaced whole;
// Dir/evidence; Dir/lock.
type Registry struct {
	config Config
	lock   io.Closer

	// changing is held by whoever changes state, from reading the old view to
	// publishing the new one. Taken before mu.
	changing sync.Mutex

	mu      sync.RWMutex
	views   map[Fingerprint]*view  // immutable values
	broken  map[Fingerprint]error  // state files that could not be read
	expects map[string]Fingerprint // name → publisher, signed or expected names
	clock   time.Time              // the latest of all views
}

// Open reads the state below config.Dir, making the folder if there is none,
// and verifies it again. It fails if the configuration is wrong, the folder
// cannot be read, or another process uses it (ErrLocked). A publisher whose
// state file is corrupt does not make Open fail: it is logged and shown by
// Publishers with its Problem, and everything about it answers ErrState or
// nothing until it is unpinned.
func Open(config Config) (*Registry, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(filepath.Join(config.Dir, evidenceFolder), 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFolder(config.Dir)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		config:  config,
		lock:    lock,
		views:   make(map[Fingerprint]*view),
		broken:  make(map[Fingerprint]error),
		expects: make(map[string]Fingerprint),
	}
	if err := r.read(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return r, nil
}

func (r *Registry) read() error {
	for _, dir := range []string{r.config.Dir, filepath.Join(r.config.Dir, evidenceFolder)} {
		if _, err := durable.RemoveTemporary(dir); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(r.config.Dir)
	if err != nil {
		return fmt.Errorf("read trust state: %w", err)
	}
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), stateSuffix)
		if !ok {
			continue
		}
		fp, err := ParseFingerprint(text)
		if err != nil {
			return fmt.Errorf("read trust state: %w: %s is not named by a fingerprint; move it away", ErrState, filepath.Join(r.config.Dir, e.Name()))
		}
		v, err := load(r.path(fp))
		if err == nil && v.publisher != fp {
			err = fmt.Errorf("%w: %s is of publisher %s; restore the file from a backup, or unpin this publisher and pin it again", ErrState, r.path(fp), v.publisher)
		}
		if err != nil {
			r.broken[fp] = err
			r.config.Logger.Error("trust state is unusable", slog.String("publisher", fp.String()), slog.Any("error", err))
			continue
		}
		r.publish(v)
	}
	return nil
}

// Close lets another process use the folder. Everything is durable already.
// The registry must not be used afterwards.
func (r *Registry) Close() error { return r.lock.Close() }

func (r *Registry) path(fp Fingerprint) string {
	return filepath.Join(r.config.Dir, fp.String()+stateSuffix)
}

// publish makes v what readers see.
func (r *Registry) publish(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.views[v.publisher] = v
	if v.clock.After(r.clock) {
		r.clock = v.clock
	}
	if v.name != "" {
		r.expects[v.name] = v.publisher
	}
}

// view returns what is believed of fp: nil and an error that wraps ErrUnknown
// or ErrState if nothing is.
func (r *Registry) view(fp Fingerprint) (*view, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if v := r.views[fp]; v != nil {
		return v, nil
	}
	if err := r.broken[fp]; err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("publisher %s: %w: it is not pinned", fp, ErrUnknown)
}

// all returns the views of all publishers by ascending fingerprint.
func (r *Registry) all() []*view {
	r.mu.RLock()
	defer r.mu.RUnlock()
	keys := slices.SortedFunc(maps.Keys(r.views), Fingerprint.compare)
	views := make([]*view, 0, len(keys))
	for _, fp := range keys {
		views = append(views, r.views[fp])
	}
	return views
}

// now returns the reference time for v: the node's clock, but never earlier
// than any reading with which a change was accepted, nor than the newest
// creation time that v's publisher has signed. A clock that was set back, or
// starts in 1970, therefore cannot revive what had expired.
func (r *Registry) now(v *view) time.Time {
	now := r.config.Now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.clock.After(now) {
		now = r.clock
	}
	if v.signed.After(now) {
		now = v.signed
	}
	return now
}
