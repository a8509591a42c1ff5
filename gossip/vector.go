package gossip

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Sizes of the digests that sessions compare.
const (
	// digestBytes is the length of the digest of a whole vector. It is not
	// salted, so that it can be remembered between sessions, and long enough
	// that no publisher can make two of its states collide (2⁶⁴ attempts).
	digestBytes = 16
	// partBytes is the length of the digests of parts and entries. They are
	// salted anew for each session, so that collisions cannot be prepared; an
	// accidental one hides a difference until the next session.
	partBytes = 8
	saltBytes = 8
	// maxEntries is how many publishers a range lists rather than being cut.
	maxEntries = 8
	// maxDepth is the length in nibbles of the longest prefix. Fingerprints
	// are sha2-256, so that ranges of maxDepth hold more than one publisher
	// only if somebody worked for it.
	maxDepth = 12
)

// vectorDomain keeps our hashes apart from all others.
const vectorDomain = "dunlin/sync/2"

// vector is what a node holds of each publisher that it pins, at one moment,
// in the order of fingerprints.
type vector []standing

// standing is what a node holds of one publisher.
type standing struct {
	publisher trust.Fingerprint
	have      trust.Have
	timestamp []byte            // the signed head; empty if there is none
	leaf      [sha256.Size]byte // digest of all of the above
}

// takeVector reads the present vector from state.
func takeVector(state State) vector {
	heads := make(map[trust.Fingerprint][]byte)
	for _, h := range state.Heads() {
		heads[h.Publisher] = h.Timestamp
	}
	pinned := state.Publishers()
	v := make(vector, 0, len(pinned))
	for _, p := range pinned {
		if p.Problem != nil {
			continue // nothing is known, nothing could be kept
		}
		v = append(v, newStanding(p.Fingerprint, state.Have(p.Fingerprint), heads[p.Fingerprint]))
	}
	slices.SortFunc(v, func(a, b standing) int { return bytes.Compare(a.publisher[:], b.publisher[:]) })
	return v
}

func newStanding(publisher trust.Fingerprint, have trust.Have, timestamp []byte) standing {
	s := standing{publisher: publisher, have: have, timestamp: timestamp}
	sum := sha256.Sum256(timestamp)
	buf := make([]byte, 0, 128)
	buf = append(buf, publisher[:]...)
	for _, n := range []int64{have.Root, have.Timestamp, have.Snapshot, have.Targets} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(n))
	}
	s.leaf = sha256.Sum256(append(buf, sum[:]...))
	return s
}

// digest names the whole vector.
func (v vector) digest() []byte { return v.hash(nil)[:digestBytes] }

// part names a run of the vector under the salt of a session.
func (v vector) part(salt []byte) []byte { return v.hash(salt)[:partBytes] }

func (v vector) hash(salt []byte) []byte {
	h := sha256.New()
	h.Write([]byte(vectorDomain))
	h.Write(salt)
	for i := range v {
		h.Write(v[i].leaf[:])
	}
	return h.Sum(nil)
}

// find returns what is held of a publisher; false if it is not pinned.
func (v vector) find(publisher trust.Fingerprint) (standing, bool) {
	i, ok := slices.BinarySearchFunc(v, publisher, func(s standing, p trust.Fingerprint) int {
		return bytes.Compare(s.publisher[:], p[:])
	})
	if !ok {
		return standing{}, false
	}
	return v[i], true
}

// below returns the run of publishers whose fingerprints begin with prefix, one
// nibble a byte.
func (v vector) below(prefix []byte) vector {
	from := sort.Search(len(v), func(i int) bool { return parley.ComparePrefix(v[i].publisher[:], prefix) >= 0 })
	to := sort.Search(len(v), func(i int) bool { return parley.ComparePrefix(v[i].publisher[:], prefix) > 0 })
	return v[from:to]
}

// section describes the range of prefix to the other side: its entries if they
// are few, else a digest of each part.
func (v vector) section(prefix, salt []byte) section {
	run := v.below(prefix)
	s := section{Prefix: bytes.Clone(prefix)}
	if len(run) <= maxEntries || len(prefix) == maxDepth {
		for i := range run[:min(len(run), maxSectionEntries)] {
			s.Entries = append(s.Entries, entry{
				Publisher: run[i].publisher,
				Have:      versionsOf(run[i].have),
				Digest:    run[i : i+1].part(salt),
			})
		}
		return s
	}
	s.Parts = make([][]byte, parley.FanOut)
	for nibble := range parley.FanOut {
		s.Parts[nibble] = []byte{}
		if part := run.below(append(s.Prefix, byte(nibble))); len(part) > 0 {
			s.Parts[nibble] = part.part(salt)
		}
	}
	return s
}

// same says whether a and b are the same versions.
func same(a, b trust.Have) bool {
	a.Models, b.Models = 0, 0 // follows from the targets
	return a == b
}

// newer says whether somebody with a holds something that somebody with b may
// want. A newer root may restart the other versions, so it decides alone.
func newer(a, b trust.Have) bool {
	if a.Root != b.Root {
		return a.Root > b.Root
	}
	return a.Timestamp > b.Timestamp || a.Snapshot > b.Snapshot || a.Targets > b.Targets
}
