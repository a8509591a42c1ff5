package store

import (
	"sync"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxCachedManifests bounds, in bytes of their blocks, the manifests that are
// kept decoded: some 8,000 of one file each. Decoded they take about three times
// as much.
const maxCachedManifests = 4 << 20

// manifests keeps decoded manifests, so that listing releases does not read
// and decode each block every time. What is in it was compared with its CID and
// is never changed. An entry goes with its release, and as soon as somebody
// finds that its block is gone or rotten, so that a lost block shows in
// Releases. Safe for concurrent use.
type manifests struct {
	mu      sync.Mutex // owns the rest
	entries map[manifest.CID]cachedManifest
	bytes   int
	drops   uint64 // counts calls of drop, so that no entry outlives one
}

type cachedManifest struct {
	m     *manifest.Manifest
	bytes int // of its block
}

// get returns a manifest that is kept, or nil and what put wants to know.
func (c *manifests) get(id manifest.CID) (m *manifest.Manifest, drops uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[id].m, c.drops
}

// put keeps a manifest whose block was read after get, unless something was
// dropped since. Others give way, whichever: a list of more than there is room
// for, read over and over in one order, would find nothing of the least
// recently used.
func (c *manifests) put(id manifest.CID, m *manifest.Manifest, bytes int, drops uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[id]; ok || c.drops != drops || bytes > maxCachedManifests {
		return
	}
	for other := range c.entries {
		if c.bytes+bytes <= maxCachedManifests {
			break
		}
		c.remove(other)
	}
	if c.entries == nil {
		c.entries = make(map[manifest.CID]cachedManifest)
	}
	c.entries[id] = cachedManifest{m, bytes}
	c.bytes += bytes
}

// drop forgets a manifest.
func (c *manifests) drop(id manifest.CID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.remove(id)
}

// remove takes an entry out. Callers hold mu.
func (c *manifests) remove(id manifest.CID) {
	c.bytes -= c.entries[id].bytes
	delete(c.entries, id)
}
