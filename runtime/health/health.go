package health

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Outcome is what a node says of a release it has tried.
type Outcome uint8

// The outcomes. Of failures only those of content are Bad.
const (
	Untried Outcome = iota
	Good            // it passed its golden set and serves
	Bad             // its content failed
)

// Node is one that runs the model, this one included.
type Node struct {
	ID      string // any bytes, unique
	Class   string // of its profile; only nodes of one class are weighed together
	Outcome Outcome
}

// Policy is how careful a rollout is.
type Policy struct {
	// Alone is the number of nodes of a class below which there are no waves:
	// all go at once. At least 1; default 5.
	Alone int
	// Interval is how long a wave waits for word of the one before. 0 for no
	// waves. Default 10 minutes.
	Interval time.Duration
}

// DefaultPolicy returns the policy of a node for which nothing else was said.
func DefaultPolicy() Policy { return Policy{Alone: 5, Interval: 10 * time.Minute} }

// Validate refuses what is out of bounds.
func (p Policy) Validate() error {
	if p.Alone < 1 {
		return fmt.Errorf("waves from %d nodes on, want at least 1", p.Alone)
	}
	if p.Interval < 0 || p.Interval > 30*24*time.Hour {
		return fmt.Errorf("wave interval %s is not within 0 and 30 days", p.Interval)
	}
	return nil
}

// Verdict says whether to go, and why not.
type Verdict struct {
	// Go: the release may be made active now.
	Go bool `json:"go"`
	// Held: it is held back by what others report, for as long as they do.
	Held bool `json:"held"`
	// Wave is this node's, from 1 to Waves; 0 of 0 where there are none.
	Wave  int `json:"wave"`
	Waves int `json:"waves"`
	// Nodes are those of the class, this one included; Good and Bad those of
	// them that say so. Quorum is how many Bad hold it back.
	Nodes  int `json:"nodes"`
	Good   int `json:"good"`
	Bad    int `json:"bad"`
	Quorum int `json:"quorum"`
	// At is when time alone will change Go; zero if only reports will.
	At time.Time `json:"at,omitzero"`
}

// String says it in a line, for people; "" for a plain go.
func (v Verdict) String() string {
	switch {
	case v.Held:
		return fmt.Sprintf("held back: %d of %d nodes with hardware like this say that it fails, %d that it works", v.Bad, v.Nodes, v.Good)
	case v.Go:
		return ""
	}
	return fmt.Sprintf("waits for its turn in wave %d of %d: of %d nodes with hardware like this %d say that it works, %d that it fails", v.Wave, v.Waves, v.Nodes, v.Good, v.Bad)
}

// quorum returns how many of n nodes hold a release back: a fifth, 1 to 3.
func quorum(n int) int { return max(1, min(3, (n+4)/5)) }

// bounds returns how many of n nodes the waves take in all.
func bounds(n int) []int {
	first := min(n, max(quorum(n), (n+9)/10))
	return []int{first, max(first, (n+2)/3), n}
}

// Decide judges the release (its manifest's CID, as text or bytes) for the node
// self, which may be missing among nodes and is then Untried. since is when
// the release was whole here, and now the same clock's time. Nodes of other
// classes are ignored. It costs a hash for each node of the class.
func Decide(release string, self Node, nodes []Node, since, now time.Time, p Policy) Verdict {
	alike := slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return n.Class != self.Class || n.ID == self.ID })
	alike = append(alike, self)
	v := Verdict{Nodes: len(alike), Quorum: quorum(len(alike))}
	for _, n := range alike {
		switch n.Outcome {
		case Good:
			v.Good++
		case Bad:
			v.Bad++
		case Untried:
		}
	}
	if v.Held = v.Bad >= v.Quorum && v.Bad >= v.Good; v.Held {
		return v
	}
	if len(alike) < p.Alone || p.Interval == 0 {
		v.Go = true
		return v
	}
	slices.SortFunc(alike, func(a, b Node) int {
		return cmp.Or(cmp.Compare(place(release, a.ID), place(release, b.ID)), cmp.Compare(a.ID, b.ID))
	})
	rank := slices.IndexFunc(alike, func(n Node) bool { return n.ID == self.ID })
	waves := bounds(len(alike))
	v.Waves = len(waves)
	before := 0 // nodes of the waves before
	for _, bound := range waves {
		v.Wave++
		if rank < bound {
			break
		}
		before = bound
	}
	good := 0
	for _, n := range alike[:before] {
		if n.Outcome == Good {
			good++
		}
	}
	switch {
	case v.Bad > v.Good:
	case before == 0, 2*good >= before:
		v.Go = true
	default:
		v.At = since.Add(time.Duration(v.Wave-1) * p.Interval)
		v.Go = !now.Before(v.At)
	}
	if v.Go {
		v.At = time.Time{}
	}
	return v
}

// place returns where a node stands in the rollout of a release: the less, the
// sooner. Nobody can choose it without choosing a new key.
func place(release, id string) uint64 {
	h := sha256.New()
	h.Write(binary.AppendUvarint(nil, uint64(len(release))))
	h.Write([]byte(release))
	h.Write([]byte(id))
	return binary.BigEndian.Uint64(h.Sum(nil))
}
