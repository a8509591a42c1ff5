package node

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
)

// How long a failed want is left alone: the first wait, the longest, and the
// longest while only room is missing, which is cheap to look for.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	roomRetry  = 20 * time.Second
)

// retries says when wants that failed, or gave up their turn, are tried again.
// It holds no more entries than there are wants. Safe for concurrent use.
type retries struct {
	mu    sync.Mutex // owns the rest
	waits map[manifest.CID]*retry
}

type retry struct {
	model manifest.Model
	wait  time.Duration // the last one after a failure
	until time.Time
}

func newRetries() *retries { return &retries{waits: make(map[manifest.CID]*retry)} }

// failed notes that w failed with err at the time now, and returns how long it
// is left alone: twice as long as the last time.
func (r *retries) failed(w want, err error, now time.Time) time.Duration {
	longest := lastRetry
	if errors.Is(err, store.ErrFull) {
		longest = roomRetry
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(w)
	e.wait = min(max(2*e.wait, firstRetry), longest)
	e.until = now.Add(e.wait)
	return e.wait
}

// later lets others have their turn before w, which has not failed.
func (r *retries) later(w want, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry(w).until = until
}

// entry returns w's entry, a new one if need be. Callers hold mu.
func (r *retries) entry(w want) *retry {
	e := r.waits[w.Manifest]
	if e == nil {
		e = &retry{model: w.Model}
		r.waits[w.Manifest] = e
	}
	return e
}

// until returns the time before which the release is left alone; zero for one
// that may be tried now.
func (r *retries) until(c manifest.CID) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.waits[c]; e != nil {
		return e.until
	}
	return time.Time{}
}

// done forgets a release that is here.
func (r *retries) done(c manifest.CID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waits, c)
}

// forgive lets the releases of the models that match be tried at once.
func (r *retries) forgive(match func(manifest.Model) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c, e := range r.waits {
		if match(e.model) {
			delete(r.waits, c)
		}
	}
}

// keepOnly forgets what is no longer wanted.
func (r *retries) keepOnly(wants map[manifest.CID]want) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keepWants(r.waits, wants)
}

// keepWants deletes from m what is not among wants.
func keepWants[V any](m map[manifest.CID]V, wants map[manifest.CID]want) {
	maps.DeleteFunc(m, func(c manifest.CID, _ V) bool { _, ok := wants[c]; return !ok })
}
