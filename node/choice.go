package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
	"github.com/dunlin-mesh/dunlin/runtime/variant"
	"github.com/dunlin-mesh/dunlin/store"
)

const (
	// machineAge is how long what was read of the machine is good for.
	machineAge = 5 * time.Second
	// maxFailed bounds the variants remembered that could not be loaded.
	maxFailed = 1024
)

// chooser holds what the choice among variants depends on, beside the release.
type chooser struct {
	stale atomic.Bool // providers are to be tried again

	mu      sync.Mutex
	tried   profile.Profile // providers and figures; without any until the first look
	looked  time.Time
	machine profile.Profile // memory of this moment
	read    time.Time
	// failed are the variants that were tried and could not be loaded, by
	// manifest and name, with the reason. A restart or Reconsider tries again.
	failed map[string]string
}

// Reconsider makes the node look at its hardware, memory and providers again,
// forget which variants could not be loaded, and decide anew what to run. The
// node does so by itself at start and every ten minutes, but does not forget.
func (n *Node) Reconsider() {
	n.chooser.stale.Store(true)
	n.chooser.mu.Lock()
	n.chooser.read = time.Time{}
	n.chooser.mu.Unlock()
	n.tryAgain(func(manifest.Model) bool { return true })
}

// forgetFailed lets all variants be tried again that could not be loaded.
func (n *Node) forgetFailed() {
	n.chooser.mu.Lock()
	defer n.chooser.mu.Unlock()
	n.chooser.failed = nil
}

// look tries the providers where that was not done lately. What was found under
// the same library, drivers and kernel is kept in the home, so this is cheap.
func (n *Node) look(ctx context.Context) {
	c := &n.chooser
	c.mu.Lock()
	due := time.Since(c.looked) > lookInterval
	c.mu.Unlock()
	if n.tryProviders == nil || n.engine.Info().Reason != "" || (!c.stale.Swap(false) && !due) {
		return
	}
	p, err := n.tryProviders(ctx)
	if err != nil {
		n.log.Warn("execution providers could not be tried", slog.Any("error", err))
	}
	if ctx.Err() != nil {
		c.stale.Store(true)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = time.Now()
	if p.OS != "" {
		c.tried, c.read = p, time.Time{}
	}
}

// profile returns the machine as it is now.
func (n *Node) profile() profile.Profile {
	c := &n.chooser
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) > machineAge {
		p, err := profile.Machine(context.Background(), n.dir, n.engine.Info())
		if err != nil {
			n.log.Warn("machine cannot be read, its memory is taken for enough", slog.Any("error", err))
		}
		if c.tried.OS != "" {
			p.Providers, p.BandwidthBytes, p.MeasuredAt = c.tried.Providers, c.tried.BandwidthBytes, c.tried.MeasuredAt
		}
		c.machine, c.read = p, time.Now()
	}
	return c.machine
}

// decide chooses among the variants of the release with manifest m.
func (n *Node) decide(m *manifest.Manifest, c manifest.CID) variant.Decision {
	serving, bytes := n.servingVariant(m, c)
	return variant.Choose(variant.Input{
		Variants: m.Variants, Profile: n.profile(), Providers: n.config.Engine.Order(),
		Runs:    func(format string) bool { return format == runsFormat },
		Serving: serving, ServingBytes: bytes, UnloadFirst: n.config.Activation.UnloadFirst,
		Latency: func(v manifest.Variant, p modelrt.Provider) (time.Duration, bool) {
			return n.latencies.of(m.Model, c, v.Name, p)
		},
		Missing: func(v manifest.Variant) (bytes uint64) {
			for _, f := range v.Files {
				bytes += n.missingOf(f)
			}
			return bytes
		},
		Failed: func(name string) string { return n.failedVariant(c, name) },
	})
}

// servingVariant names the variant of the model that serves or, where nothing
// does, the first one of this release that is here whole; and what it takes of
// memory, as far as its manifest tells.
func (n *Node) servingVariant(m *manifest.Manifest, c manifest.CID) (string, uint64) {
	if status, ok := n.activation(m.Model); ok && status.Recorded != nil {
		v, ok := m.Variant(status.Recorded.Variant)
		if !ok {
			return "", 0
		}
		need, _ := variant.NeedBytes(v)
		return v.Name, need
	}
	if n.engine.Info().Reason == "" {
		return "", 0
	}
	held, err := n.held(c)
	if err != nil {
		return "", 0
	}
	for _, v := range m.Variants {
		if slices.ContainsFunc(held.Variants, func(s store.VariantState) bool { return s.Name == v.Name && s.Complete }) {
			return v.Name, 0
		}
	}
	return "", 0
}

// choose returns the variant that this machine runs; none if there is none.
func (n *Node) choose(m *manifest.Manifest, c manifest.CID) []manifest.Variant {
	if v, ok := m.Variant(n.decide(m, c).Chosen); ok {
		return []manifest.Variant{v}
	}
	return nil
}

// cannotLoad remembers that a variant was tried and failed, if another one is
// chosen then, and tells whether there is one. The last one that is left keeps
// its error for itself.
func (n *Node) cannotLoad(m *manifest.Manifest, c manifest.CID, name string, err error) bool {
	n.chooser.mu.Lock()
	if n.chooser.failed == nil || len(n.chooser.failed) >= maxFailed {
		n.chooser.failed = make(map[string]string)
	}
	n.chooser.failed[c.String()+"/"+name] = firstBytes(err.Error(), 500)
	n.chooser.mu.Unlock()
	next := n.decide(m, c).Chosen
	if next != "" && next != name {
		return true
	}
	n.chooser.mu.Lock()
	defer n.chooser.mu.Unlock()
	delete(n.chooser.failed, c.String()+"/"+name)
	return false
}

func (n *Node) failedVariant(c manifest.CID, name string) string {
	n.chooser.mu.Lock()
	defer n.chooser.mu.Unlock()
	return n.chooser.failed[c.String()+"/"+name]
}

// firstBytes cuts a text.
func firstBytes(text string, most int) string {
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// wholeFor says whether all that w needs of a release is here: for a followed
// model the chosen variant and what belongs to all, not another variant that was
// begun before this one was chosen.
func (n *Node) wholeFor(w want, have store.ReleaseState) bool {
	if w.purpose != toRun {
		return whole(have)
	}
	m, err := n.manifest(w.Manifest)
	if err != nil || len(m.Variants) == 1 {
		return whole(have)
	}
	chosen := n.decide(m, w.Manifest).Chosen
	here := false
	for _, s := range have.Variants {
		_, other := m.Variant(s.Name)
		if s.Name == chosen {
			here, other = true, false
		}
		if !other && !s.Complete {
			return false
		}
	}
	return here
}
