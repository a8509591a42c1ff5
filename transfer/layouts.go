package transfer

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of layouts in memory.
const (
	layoutMemory = 16 << 20
	// maxChunks bounds the chunks of one file, and so the tables kept of it:
	// 2 TiB at 512 KiB a chunk.
	maxChunks = 1 << 22
)

// cut is a layout with its chunks.
type cut struct {
	layout *manifest.Layout
	chunks manifest.Chunks
	cost   int
	cid    manifest.CID
}

// layouts keeps decoded layouts, least recently used out first.
type layouts struct {
	mu    sync.Mutex
	block func(manifest.CID) ([]byte, error)
	byCID map[manifest.CID]*list.Element // of *cut
	order list.List
	cost  int
}

func newLayouts(block func(manifest.CID) ([]byte, error)) layouts {
	return layouts{block: block, byCID: map[manifest.CID]*list.Element{}}
}

// get returns the layout of that CID, decoded from the store's block.
func (l *layouts) get(cid manifest.CID) (*cut, error) {
	l.mu.Lock()
	if e := l.byCID[cid]; e != nil {
		l.order.MoveToFront(e)
		l.mu.Unlock()
		return e.Value.(*cut), nil
	}
	l.mu.Unlock()
	data, err := l.block(cid)
	if err != nil {
		return nil, err
	}
	c := &cut{layout: &manifest.Layout{}, cid: cid}
	if err := manifest.Decode(data, c.layout); err != nil {
		return nil, fmt.Errorf("layout %s: %w", cid, err)
	}
	if n := c.layout.Size / uint64(c.layout.Chunk); n > maxChunks {
		return nil, fmt.Errorf("layout %s: %w: about %d chunks, at most %d", cid, manifest.ErrFormat, n, maxChunks)
	}
	c.chunks = c.layout.Chunks()
	c.cost = 3*len(data) + 8*c.chunks.Len()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byCID[cid] == nil && c.cost <= layoutMemory {
		l.byCID[cid] = l.order.PushFront(c)
		for l.cost += c.cost; l.cost > layoutMemory; {
			old := l.order.Remove(l.order.Back()).(*cut)
			delete(l.byCID, old.cid)
			l.cost -= old.cost
		}
	}
	return c, nil
}
