package node

import (
	"sync"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// board holds where each wanted model stands, for people who ask and for those
// who wait. Safe for concurrent use.
type board struct {
	mu      sync.Mutex // owns the rest
	entries map[manifest.Model]entry
	changed chan struct{} // closed and replaced at each change
}

// entry is what the node says about the newest release of a model.
type entry struct {
	version     string
	state       api.State
	reason      string
	code        api.Code // of reason
	final       bool     // no retry will change it before a new release, a restart or an operator's word
	done, total uint64
}

func newBoard() *board {
	return &board{entries: make(map[manifest.Model]entry), changed: make(chan struct{})}
}

// set notes where the model stands.
func (b *board) set(m manifest.Model, e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[m] == e {
		return
	}
	b.entries[m] = e
	b.broadcast()
}

// drop forgets the model.
func (b *board) drop(m manifest.Model) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.entries[m]; ok {
		delete(b.entries, m)
		b.broadcast()
	}
}

// get returns where the model stands, and a channel that is closed at the next
// change of any model.
func (b *board) get(m manifest.Model) (entry, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[m], b.changed
}

// reopen lets what failed for good in the models that match be tried again.
func (b *board) reopen(match func(manifest.Model) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for m, e := range b.entries {
		if e.final && match(m) {
			e.final = false
			b.entries[m] = e
		}
	}
}

// touch wakes those who wait although no entry changed.
func (b *board) touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broadcast()
}

func (b *board) broadcast() {
	close(b.changed)
	b.changed = make(chan struct{})
}
