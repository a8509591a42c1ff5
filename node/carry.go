package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
)

// errCarryQuota says that a release which is only carried does not fit the quota
// of its rule. It waits until newer ones go or the quota grows.
var errCarryQuota = errors.New("over the quota of what is carried")

// allotment says which of the releases that are only carried fit their rules:
//
//	the newest release of each model first, then what is kept of earlier ones;
//	among these the one that its publisher made last
//	each goes under the first rule that matches and has no quota, or has room
//	a release of which the manifest is not here yet takes no room so far
//	the release before one that is just coming is kept as its basis, and counts
//	once that one is here
//
// Releases that are followed, active or published here are no matter for quotas.
type allotment struct {
	over  map[manifest.CID]string // why a release waits
	use   map[string]carryUse     // by pattern
	evict []store.ReleaseState    // are here and no longer fit
}

// carryUse is what a rule has brought.
type carryUse struct {
	planned  uint64 // bytes of the releases that fit
	held     uint64 // of those, what is here
	releases int    // that fit
	waiting  int    // that do not
}

// carried is a release that is only carried.
type carried struct {
	store.Release
	rank    int // 0 for the newest of its model, 1 for what is kept of earlier ones
	created time.Time
	bytes   uint64
	held    *store.ReleaseState // nil if nothing is here
}

// allot works out what fits. wants and held are as wanted has them.
func (n *Node) allot(rules []carryRule, wants map[manifest.CID]want, held map[manifest.CID]store.ReleaseState) allotment {
	a := allotment{over: make(map[manifest.CID]string), use: make(map[string]carryUse)}
	coming := make(map[manifest.Model]bool) // whose newest release fits and is not kept yet
	for _, c := range n.carriedOnly(wants, held) {
		if c.rank > 0 && coming[c.Model] { // kept as its basis
			continue
		}
		rule, ok := a.place(rules, c)
		if !ok {
			if c.rank == 0 {
				a.over[c.Manifest] = tooMuch(rule, a.use[rule.pattern].planned, c.bytes)
			}
			if c.held != nil {
				a.evict = append(a.evict, *c.held)
			}
			continue
		}
		if w := wants[c.Manifest]; c.rank == 0 && !w.kept {
			coming[c.Model] = true
		}
	}
	return a
}

// place puts a release under a rule; false, with the first rule that matches, if
// none has room.
func (a *allotment) place(rules []carryRule, c carried) (carryRule, bool) {
	var first carryRule
	for _, free := range []bool{true, false} { // rules without a quota first
		for _, r := range rules {
			if !match(r.pattern, c.Model) || (r.QuotaBytes == 0) != free {
				continue
			}
			if first.pattern == "" {
				first = r
			}
			u := a.use[r.pattern]
			if !free && (u.planned > r.QuotaBytes || c.bytes > r.QuotaBytes-u.planned) {
				continue
			}
			u.planned += c.bytes
			u.releases++
			if c.held != nil {
				for _, v := range c.held.Variants {
					u.held += v.HeldBytes
				}
			}
			a.use[r.pattern] = u
			return r, true
		}
	}
	if c.rank == 0 {
		u := a.use[first.pattern]
		u.waiting++
		a.use[first.pattern] = u
	}
	return first, false
}

func tooMuch(r carryRule, planned, bytes uint64) string {
	return fmt.Sprintf("over the quota of %s: %d bytes of %d are taken by newer releases, this one has %d; raise it with `dunlin carry '%s' --quota SIZE`",
		r.pattern, planned, r.QuotaBytes, bytes, r.pattern)
}

// carriedOnly lists, in the order in which they are served, the newest releases
// that are wanted to be passed on, and what is kept of earlier ones.
func (n *Node) carriedOnly(wants map[manifest.CID]want, held map[manifest.CID]store.ReleaseState) []carried {
	var out []carried
	newest := make(map[manifest.Model]bool)
	add := func(r store.Release, rank int) {
		c := carried{Release: r, rank: rank, bytes: n.sizes.of(n, r.Manifest)}
		if known, ok := n.trust.Release(r.Model, r.Version); ok {
			c.created = known.Created
		}
		if state, ok := held[r.Manifest]; ok {
			c.held = &state
		}
		out = append(out, c)
	}
	for _, w := range wants {
		if w.purpose == toCarry {
			newest[w.Model] = true
			if onlyCarried(held[w.Manifest].Pins) {
				add(w.Release, 0)
			}
		}
	}
	for m, r := range held {
		if w, ok := wants[m]; ok && w.purpose == toCarry {
			continue
		}
		if newest[r.Model] && len(r.Pins) > 0 && onlyCarried(r.Pins) {
			add(r.Release, 1)
		}
	}
	slices.SortFunc(out, func(a, b carried) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), b.created.Compare(a.created), cmp.Compare(a.Model, b.Model), cmp.Compare(b.Sequence, a.Sequence))
	})
	return out
}

// onlyCarried says whether nothing but a carry rule keeps a release.
func onlyCarried(pins []store.Pin) bool {
	return !slices.ContainsFunc(pins, func(p store.Pin) bool { return p != store.PinCarried && p != store.PinPrevious })
}

// limited says whether any rule has a quota, so that there is something to work
// out.
func limited(rules []carryRule) bool {
	return slices.ContainsFunc(rules, func(r carryRule) bool { return r.QuotaBytes > 0 })
}

// admit returns nil if w fits the quota of a rule, with its manifest here, and
// takes off the disk what has to make way for it. The error wraps errCarryQuota.
func (n *Node) admit(w want) error {
	if w.purpose != toCarry || !limited(n.rules.carried()) {
		return nil
	}
	wants, a := n.wanted()
	if why := a.over[w.Manifest]; why != "" {
		return fmt.Errorf("%s: %w: %s", w.Release, errCarryQuota, why)
	}
	if _, ok := wants[w.Manifest]; !ok {
		return nil // its rule has just gone; the loop sees to it
	}
	n.evict(a.evict)
	return nil
}

// evict takes releases that no longer fit off the disk.
func (n *Node) evict(gone []store.ReleaseState) {
	for _, r := range gone {
		err := errors.Join(n.store.Unpin(r.Manifest, store.PinCarried), n.store.Unpin(r.Manifest, store.PinPrevious), n.store.ClearWant(r.Manifest))
		if err == nil {
			if err = n.store.Remove(r.Manifest); errors.Is(err, store.ErrNotHeld) || errors.Is(err, store.ErrPinned) {
				err = nil // it has gone, or goes once nobody works on it
			}
		}
		if err != nil {
			n.log.Warn("release over its carry quota still takes room", slog.String("release", r.String()), slog.Any("error", err))
			continue
		}
		n.log.Info("release removed, over the quota of what is carried", slog.String("model", string(r.Model)), slog.String("version", r.Version))
	}
}

// expireRules ends carry rules whose time is over and takes off the disk what
// only they kept. It returns when the next one ends; zero if none will.
func (n *Node) expireRules(ctx context.Context) time.Time {
	dropped, next, err := n.rules.expire(time.Now())
	if len(dropped) == 0 && err == nil {
		return next
	}
	models, dropErr := n.settleRules(ctx, dropped)
	err = errors.Join(err, dropErr)
	for m := range models {
		if !n.ruled(m) {
			err = errors.Join(err, n.removeUnpinned(m))
		}
	}
	n.log.Info("carry rules have expired", slog.Any("patterns", dropped))
	if err != nil {
		n.log.Warn("what an expired rule kept is not let go", slog.Any("error", err))
	}
	return next
}

// carryRules describes the rules with what they brought.
func (n *Node) carryRules() []api.CarryRule {
	rules := n.rules.carried()
	wants, held := n.wantedAndHeld()
	a := n.allot(rules, wants, held)
	out := []api.CarryRule{}
	for _, r := range rules {
		u := a.use[r.pattern]
		out = append(out, api.CarryRule{
			Pattern: r.pattern, QuotaBytes: r.QuotaBytes, Expires: r.Expires,
			UsedBytes: u.held, PlannedBytes: u.planned, Releases: u.releases, Waiting: u.waiting,
		})
	}
	return out
}

// sizes remembers how many bytes the files of releases have, for those that were
// asked about last. The zero value is ready for use. Safe for concurrent use.
type sizes struct {
	mu    sync.Mutex // owns the rest
	bytes map[manifest.CID]uint64
}

// maxSizes bounds it; past that it begins anew.
const maxSizes = 1 << 13

// of returns the bytes of all files of a release; 0 if its manifest is not here.
func (s *sizes) of(n *Node, c manifest.CID) (total uint64) {
	s.mu.Lock()
	total, ok := s.bytes[c]
	s.mu.Unlock()
	if ok {
		return total
	}
	m, err := n.manifest(c)
	if err != nil {
		return 0
	}
	for _, v := range m.Variants {
		total += v.Size()
	}
	for _, f := range m.Golden {
		total += f.Size
	}
	if m.Report != nil {
		total += m.Report.Size
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil || len(s.bytes) >= maxSizes {
		s.bytes = make(map[manifest.CID]uint64)
	}
	s.bytes[c] = total
	return total
}
