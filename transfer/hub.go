package transfer

import (
	"maps"
	"sync"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// hub tells the sessions served that chunks of a file arrived.
type hub struct {
	mu     sync.Mutex
	byFile map[manifest.FileID]map[listener]uint32 // the file's number in the session
}

// listener is a session served; it is comparable. stale must not block.
type listener interface{ stale(number uint32) }

func newHub() hub { return hub{byFile: map[manifest.FileID]map[listener]uint32{}} }

func (h *hub) subscribe(s listener, id manifest.FileID, number uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.byFile[id]
	if m == nil {
		m = map[listener]uint32{}
		h.byFile[id] = m
	}
	m[s] = number
}

func (h *hub) unsubscribe(s listener, ids []manifest.FileID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if m := h.byFile[id]; m != nil {
			if delete(m, s); len(m) == 0 {
				delete(h.byFile, id)
			}
		}
	}
}

// changed calls the sessions without holding the lock: they hold their own
// while they subscribe.
func (h *hub) changed(id manifest.FileID) {
	h.mu.Lock()
	sessions := maps.Clone(h.byFile[id])
	h.mu.Unlock()
	for s, number := range sessions {
		s.stale(number)
	}
}
