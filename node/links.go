package node

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// stillFor is how long nothing of a release must have come for status to say
// that it waits, although peers that hold it are connected.
const stillFor = 5 * time.Second

// paths is the operator's links as package transfer wants them, and what is
// under way over them. Safe for concurrent use.
type paths struct {
	set     *links.Set
	allowed *allowances

	mu         sync.Mutex // owns the rest
	priorities map[string]int
	errands    map[manifest.CID]*onWay
}

// onWay is a release that is being obtained.
type onWay struct {
	use   links.Use
	done  uint64    // bytes that have come
	moved time.Time // when that last grew
}

func newPaths(set *links.Set, allowed *allowances, priorities map[string]int) *paths {
	return &paths{set: set, allowed: allowed, priorities: maps.Clone(priorities), errands: make(map[manifest.CID]*onWay)}
}

// Path implements transfer.Paths.
func (p *paths) Path(c network.Conn) transfer.Path {
	link, named := p.set.Find(addressOf(c.LocalMultiaddr()), addressOf(c.RemoteMultiaddr()))
	config := link.Config()
	return transfer.Path{Link: transfer.Link(config.Class), Metered: config.Metered, Named: named, Meter: meter{p, link}}
}

// addressOf returns the address in a multiaddr; the zero one if it has none.
func addressOf(m multiaddr.Multiaddr) netip.Addr {
	ip, err := manet.ToIP(m)
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// meter is one link for package transfer.
type meter struct {
	paths *paths
	link  *links.Link
}

// Admit implements transfer.Meter.
func (m meter) Admit(u transfer.Use) (int64, error) {
	left, err := m.link.Admit(m.paths.use(u))
	return left, waitError(err)
}

// Take implements transfer.Meter.
func (m meter) Take(u transfer.Use, n int, up bool) (int, time.Duration, error) {
	granted, wait, err := m.link.Take(m.paths.use(u), n, links.Direction(up))
	return granted, wait, waitError(err)
}

// waitError says in transfer's words that a link is closed.
func waitError(err error) error {
	if closed, ok := errors.AsType[*links.Closed](err); ok {
		return &transfer.WaitError{Reason: closed.Error(), Until: closed.Until}
	}
	return err
}

// use says for which model, and how, a link is used.
func (p *paths) use(u transfer.Use) links.Use {
	if u.Kind != transfer.UseDelta && u.Kind != transfer.UseChunks {
		return links.Use{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.errands[u.Release]
	if e == nil {
		return links.Use{}
	}
	use := p.fill(u.Release, e.use)
	if use.Pushed = u.Kind == transfer.UseDelta; use.Pushed {
		use.Full, use.NoDelta = 0, ""
	}
	return use
}

// fill adds to a use what the operator says about it; the caller holds mu.
func (p *paths) fill(release manifest.CID, use links.Use) links.Use {
	use.Priority = priorityOf(p.priorities, manifest.Model(use.Model))
	use.Allowed = p.allowed.has(release)
	return use
}

// begin notes that a release is being obtained, until the function returned is
// called.
func (p *paths) begin(w want) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &onWay{use: links.Use{Model: string(w.Model), Version: w.Version}, moved: time.Now()}
	p.errands[w.Manifest] = e
	return func() {
		p.mu.Lock()
		if p.errands[w.Manifest] == e {
			delete(p.errands, w.Manifest)
		}
		p.mu.Unlock()
		p.set.Done(string(w.Model))
	}
}

// askDelta notes that the release is asked for as a delta now, or anew.
func (p *paths) askDelta(release manifest.CID) {
	p.edit(release, func(e *onWay) { e.use.Full, e.use.NoDelta = 0, "" })
}

// noDelta notes that a part of the release does not come as a delta, although an
// earlier version is here.
func (p *paths) noDelta(release manifest.CID, why string) {
	p.edit(release, func(e *onWay) {
		if e.use.NoDelta == "" {
			e.use.NoDelta = why
		}
	})
}

// inFull notes how many bytes are still to come in chunks.
func (p *paths) inFull(release manifest.CID, missing uint64) {
	p.edit(release, func(e *onWay) { e.use.Full = int64(min(missing, 1<<62)) })
}

// came notes how much of the release is here.
func (p *paths) came(release manifest.CID, done uint64) {
	p.edit(release, func(e *onWay) {
		if done > e.done {
			e.done, e.moved = done, time.Now()
		}
	})
}

func (p *paths) edit(release manifest.CID, change func(*onWay)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.errands[release]; e != nil {
		change(e)
	}
}

// held says whether the release waits for the operator's word on some link of
// these connections.
func (p *paths) held(release manifest.CID, over []*links.Link) bool {
	return slices.ContainsFunc(p.reasons(release, over), func(c *links.Closed) bool { return c.Why == links.WhyFull })
}

// reasons returns what keeps the release waiting on the links; nothing of one
// that is not being obtained.
func (p *paths) reasons(release manifest.CID, over []*links.Link) (reasons []*links.Closed) {
	p.mu.Lock()
	e := p.errands[release]
	var use links.Use
	if e != nil {
		use = p.fill(release, e.use)
	}
	p.mu.Unlock()
	if e == nil {
		return nil
	}
	for _, l := range over {
		reasons = append(reasons, l.Reasons(use)...)
	}
	return reasons
}

// still says whether nothing of the release has come for a moment.
func (p *paths) still(release manifest.CID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.errands[release]
	return e != nil && time.Since(e.moved) > stillFor
}

// prioritise replaces the priorities.
func (p *paths) prioritise(priorities map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.priorities = maps.Clone(priorities)
}

// priority returns that of a model.
func (p *paths) priority(m manifest.Model) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return priorityOf(p.priorities, m)
}

// priorityOf returns the priority of a model: that of its own name, or else of
// the longest pattern that matches, or else 0.
func priorityOf(priorities map[string]int, m manifest.Model) int {
	if n, ok := priorities[string(m)]; ok {
		return n
	}
	best, priority := "", 0
	for pattern, n := range priorities {
		if match(pattern, m) && (len(pattern) > len(best) || len(pattern) == len(best) && pattern < best) {
			best, priority = pattern, n
		}
	}
	return priority
}

// linksInUse returns the links with bounds that lead to connected peers, each
// once.
func (o *online) linksInUse() (over []*links.Link) {
	for _, c := range o.host.Network().Conns() {
		if m, ok := o.transfer.Path(c).Meter.(meter); ok && !slices.Contains(over, m.link) {
			over = append(over, m.link)
		}
	}
	slices.SortFunc(over, func(a, b *links.Link) int { return strings.Compare(a.Name(), b.Name()) })
	return over
}

// waits says what a release that is under way waits for on the links to the
// peers at hand, and whether a budget or the operator is what it waits for;
// empty if it waits for nothing there.
func (n *Node) waits(release manifest.CID) (reason string, budget bool) {
	net := n.net.Load()
	if net == nil {
		return "", false
	}
	var texts []string
	for _, c := range n.paths.reasons(release, net.linksInUse()) {
		if text := c.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		budget = budget || c.Budget()
	}
	return strings.Join(texts, "; "), budget
}
