package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/dunlin-mesh/dunlin/internal/parley"
)

// Sizes of what sessions compare. Ranges are compared as in package gossip, and
// as in A. Meyer, Range-Based Set Reconciliation (https://arxiv.org/abs/2212.13567).
const (
	digestBytes = 16 // of a whole table
	partBytes   = 8  // of a part, salted anew for each session
	saltBytes   = 8
	fanOut      = 16 // parts of a range: one for each value of the next four bits
	maxEntries  = 8  // rows that a range lists rather than being cut
	maxDepth    = 12 // nibbles of the longest prefix
)

// stamp names a record without its content.
type stamp struct {
	key             rowKey
	epoch, sequence uint64
}

// vector is the stamps of a table at one moment, in the order of keys.
type vector []stamp

// vector returns the stamps of all rows, their digest, and the count of changes
// for which they hold.
func (t *Table) vector() (v vector, digest []byte, seen uint64) {
	t.forget()
	t.mu.Lock()
	defer t.mu.Unlock()
	v = make(vector, 0, len(t.rows))
	for _, r := range t.rows {
		v = append(v, stamp{r.key, r.epoch, r.sequence})
	}
	slices.SortFunc(v, func(a, b stamp) int { return bytes.Compare(a.key[:], b.key[:]) })
	if t.digest == nil {
		t.digest = v.digest()
	}
	return v, t.digest, t.changes
}

// digest names the whole vector. It is not salted, so that it can be compared
// with that of an earlier session.
func (v vector) digest() []byte { return v.hash(nil)[:digestBytes] }

// part names a run of the vector under the salt of a session.
func (v vector) part(salt []byte) []byte { return v.hash(salt)[:partBytes] }

func (v vector) hash(salt []byte) []byte {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(salt)
	var buf [24]byte
	for _, s := range v {
		copy(buf[:8], s.key[:])
		binary.BigEndian.PutUint64(buf[8:], s.epoch)
		binary.BigEndian.PutUint64(buf[16:], s.sequence)
		h.Write(buf[:])
	}
	return h.Sum(nil)
}

func (v vector) search(key rowKey) (int, bool) {
	return slices.BinarySearchFunc(v, key, func(s stamp, k rowKey) int { return bytes.Compare(s.key[:], k[:]) })
}

// with returns the vector as it will be once the given records, which are newer
// or new, have arrived.
func (v vector) with(more []stamp) vector {
	if len(more) == 0 {
		return v
	}
	out := slices.Clone(v)
	for _, s := range more {
		if i, found := out.search(s.key); found {
			out[i] = s
		} else {
			out = slices.Insert(out, i, s)
		}
	}
	return out
}

// below returns the run of keys that begin with prefix, one nibble a byte.
func (v vector) below(prefix []byte) vector {
	from := sort.Search(len(v), func(i int) bool { return parley.ComparePrefix(v[i].key[:], prefix) >= 0 })
	to := sort.Search(len(v), func(i int) bool { return parley.ComparePrefix(v[i].key[:], prefix) > 0 })
	return v[from:to]
}

// section describes the range of prefix to the other side: its rows if they are
// few, else a digest of each part.
func (v vector) section(prefix, salt []byte) section {
	run := v.below(prefix)
	s := section{Prefix: bytes.Clone(prefix)}
	if len(run) <= maxEntries || len(prefix) == maxDepth {
		for _, r := range run[:min(len(run), maxSectionEntries)] {
			s.Entries = append(s.Entries, entryOf(r))
		}
		return s
	}
	s.Parts = make([][]byte, fanOut)
	for nibble := range fanOut {
		s.Parts[nibble] = []byte{}
		if part := run.below(append(s.Prefix, byte(nibble))); len(part) > 0 {
			s.Parts[nibble] = part.part(salt)
		}
	}
	return s
}
