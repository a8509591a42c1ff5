package worker

import (
	"slices"
	"sync"
)

// blockBytes is what an arena is divided into: offsets are multiples of it, so
// that every tensor is aligned for whatever reads it.
const blockBytes = 64

// block is a piece of an arena.
type block struct{ offset, size int64 }

// arena is memory shared with another process, in which this one allocates,
// lowest free place first, so that little of it is ever touched. The zero
// arena has no room. Safe for concurrent use.
type arena struct {
	mu    sync.Mutex
	mem   []byte  // nil once closed
	taken []block // by offset
}

// newArena returns an arena over mem.
func newArena(mem []byte) *arena { return &arena{mem: mem} }

// put copies data, which is not empty, into the arena, if there is room.
func (a *arena) put(data []byte) (block, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := (int64(len(data)) + blockBytes - 1) / blockBytes * blockBytes
	b := block{size: size}
	at := 0
	for ; at < len(a.taken) && a.taken[at].offset-b.offset < size; at++ {
		b.offset = a.taken[at].offset + a.taken[at].size
	}
	if b.offset+size > int64(len(a.mem)) {
		return block{}, false
	}
	a.taken = slices.Insert(a.taken, at, b)
	copy(a.mem[b.offset:], data)
	return b, true
}

// free gives blocks back.
func (a *arena) free(blocks []block) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range blocks {
		if at := slices.Index(a.taken, b); at >= 0 {
			a.taken = slices.Delete(a.taken, at, at+1)
		}
	}
}

// close waits for a put under way; later ones find no room.
func (a *arena) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mem = nil
}
