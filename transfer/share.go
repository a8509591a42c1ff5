package transfer

import (
	"hash/fnv"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Chunks that only a seed holds are shared out among those that fetch them, so
// that the seed sends each of them about once and the fetchers trade. Nobody
// hands out shares: each fetcher sees who else holds a part, and of those and
// itself the one with the highest weight for a chunk is to fetch it
// (rendezvous hashing, Thaler and Ravishankar 1998). Fetchers that see each
// other agree; one whose share is done helps with the others'.

// shareRun is how many chunks in a row fall to one fetcher, at most, so that
// requests and writes are long; short files have shorter runs.
const shareRun = 16

// seedOf returns a number for a peer, or for whatever b names.
func seedOf(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

// weight mixes a fetcher's seed with a chunk's key (the finalizer of
// SplitMix64, Steele et al. 2014).
func weight(fetcher, key uint64) uint64 {
	z := fetcher ^ key*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// shareKey returns the key of chunk i in a file of count chunks.
func shareKey(file uint64, i, count int) uint64 {
	return file + uint64(i/min(max(count/256, 1), shareRun))
}

// sharers returns the seeds of the other fetchers that this one sees, of its own
// site those whose turn it is to fetch from outside; the caller holds mu.
func (p *plan) sharers() (others []uint64) {
	for o := range p.sessions {
		if o.count == len(p.slots) || !o.fetches && (o.outside || o.count == 0) {
			continue // one outside that holds a part may have it from its own site
		}
		if o.outside || len(p.turn.Sharers) == 0 {
			others = append(others, o.seed)
		}
	}
	for _, id := range p.turn.Sharers {
		if id != p.self {
			others = append(others, seedOf([]byte(id)))
		}
	}
	return others
}

// mine says whether the chunk of that key is in the share of the fetcher self.
func mine(self uint64, others []uint64, key uint64) bool {
	own := weight(self, key)
	for _, o := range others {
		if weight(o, key) > own {
			return false
		}
	}
	return true
}

// begin returns the slot where a fetcher begins to ask a peer.
func begin(self, asked peer.ID, slots int) int {
	return int(weight(seedOf([]byte(self)), seedOf([]byte(asked))) % uint64(slots))
}
