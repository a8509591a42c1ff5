package node

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/fleet"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/health"
)

const (
	// flockPause is how often a node that holds a release back looks at what
	// others say of it.
	flockPause = 3 * time.Second
	// flockMemory is how old a record may be that says how a release turned out.
	// A node that was silent for longer takes no place in a wave.
	flockMemory = 24 * time.Hour
)

// errFlock: the release is whole here and waits for the word of other nodes.
var errFlock = errors.New("it waits for the word of other nodes")

// flock remembers since when releases wait for the word of others, and which
// the operator wants tried whatever others say. It holds no more than there are
// wants. Safe for concurrent use.
type flock struct {
	mu       sync.Mutex // owns the rest
	since    map[manifest.CID]time.Time
	insisted map[manifest.CID]bool
}

func newFlock() *flock {
	return &flock{since: make(map[manifest.CID]time.Time), insisted: make(map[manifest.CID]bool)}
}

// waits returns since when a release has waited, if it does.
func (f *flock) waits(c manifest.CID) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, ok := f.since[c]
	return since, ok
}

// begin notes that a release begins to wait, unless it does already or must not.
// It returns since when.
func (f *flock) begin(c manifest.CID, now time.Time) (since time.Time, insisted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.since[c]; !ok {
		f.since[c] = now
	}
	return f.since[c], f.insisted[c]
}

// insist has a release tried whatever others say.
func (f *flock) insist(c manifest.CID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.insisted[c] = true
}

// keepOnly forgets what is no longer wanted.
func (f *flock) keepOnly(wants map[manifest.CID]want) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keepWants(f.since, wants)
	keepWants(f.insisted, wants)
}

// judge says whether a release that is whole here may be tried now, by what
// other nodes that run the model say of it.
func (n *Node) judge(w want, now time.Time) (health.Verdict, error) {
	since, insisted := n.flock.begin(w.Manifest, now)
	if m, err := n.manifest(w.Manifest); insisted || err == nil && m.Urgent {
		return health.Verdict{Go: true}, nil
	}
	table, err := n.fleetTable()
	if err != nil {
		return health.Verdict{}, err
	}
	key := fleet.ReleaseKey(w.Manifest)
	var nodes []health.Node
	for _, r := range table.Rows() {
		i := slices.IndexFunc(r.Models, func(m fleet.Model) bool { return m.Model == w.Model })
		if r.Peer == n.id || r.Age > flockMemory || i < 0 || !r.Models[i].Runs {
			continue
		}
		node := health.Node{ID: string(r.Peer), Class: r.Class}
		if r.Models[i].Tried == key {
			node.Outcome = health.Outcome(r.Models[i].Outcome)
		}
		nodes = append(nodes, node)
	}
	self := health.Node{ID: string(n.id), Class: n.class()}
	return health.Decide(string(w.Manifest.Bytes()), self, nodes, since, now, n.config.Activation.waves()), nil
}

// class returns that of this machine, see [profile.Profile.Class]; empty if it
// runs no models.
func (n *Node) class() string {
	if n.engine.Info().Reason != "" {
		return ""
	}
	return n.profile().Class(n.config.Engine.Order()[0])
}

// heldBack says whether a release that waits for the word of others has to wait
// on, and tells people why.
func (n *Node) heldBack(w want, now time.Time) bool {
	if _, waits := n.flock.waits(w.Manifest); !waits {
		return false
	}
	v, err := n.judge(w, now)
	if err != nil || v.Go {
		return false
	}
	e, _ := n.board.get(w.Model)
	n.tell(w, entry{state: api.StateHolding, reason: v.String(), done: e.done, total: e.total})
	return true
}

// sayOutcome fills in how the newest release of a model turned out here, for the
// records that other nodes see.
func (n *Node) sayOutcome(m *fleet.Model) {
	latest, ok := n.trust.Latest(m.Model)
	if !ok || !n.rules.follows(m.Model) {
		return
	}
	m.Runs = n.canRun(latest.Manifest)
	switch status, _ := n.activation(m.Model); {
	case status.Active != nil && status.Active.Release.Release == latest.Manifest.String():
		m.Outcome = fleet.Good
	case slices.ContainsFunc(status.Failed, func(a modelrt.Attempt) bool {
		return a.Release.Release == latest.Manifest.String() && a.Class == modelrt.ClassContent
	}):
		m.Outcome = fleet.Bad
	default:
		return
	}
	m.Tried = fleet.ReleaseKey(latest.Manifest)
}
