package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// outsider is a contact outside that has lasted for an hour.
func outsider(id string, change func(*contact)) contact {
	c := contact{id: peer.ID(id), site: "site of " + id, since: noon.Add(-time.Hour)}
	if change != nil {
		change(&c)
	}
	return c
}

// Who is parted from, in words.
func TestSurplus(t *testing.T) {
	many := func(n int, change func(*contact)) (list []contact) {
		for i := range n {
			list = append(list, outsider(fmt.Sprintf("%03d", i), func(c *contact) {
				c.since = c.since.Add(time.Duration(i) * time.Second)
				if change != nil {
					change(c)
				}
			}))
		}
		return list
	}
	with := func(list []contact, more ...contact) []contact { return append(list, more...) }
	young := func(c *contact) { c.since = noon.Add(-handover + time.Second) }
	for name, test := range map[string]struct {
		gateway   bool
		since     time.Duration // that this node has been or not been a gateway
		connected []contact
		leave     int
		never     string // is not left
	}{
		"a gateway with room":                  {true, time.Hour, many(maxOutside, nil), 0, ""},
		"a gateway with one too many":          {true, time.Hour, many(maxOutside+1, nil), 1, "000"},
		"the youngest goes":                    {true, time.Hour, many(maxOutside+3, nil), 3, "007"},
		"not one that has just come":           {true, time.Hour, many(maxOutside+3, young), 0, ""},
		"not one that a transfer runs on":      {true, time.Hour, with(many(maxOutside, nil), outsider("zz", func(c *contact) { c.busy, c.since = true, noon.Add(-handover) })), 1, "zz"},
		"not one that the operator named":      {true, time.Hour, with(many(maxOutside, nil), outsider("zz", func(c *contact) { c.named, c.since = true, noon.Add(-handover) })), 1, "zz"},
		"not those who have nobody else":       {true, time.Hour, many(maxServed, func(c *contact) { c.needy = true }), 0, ""},
		"but not for everybody":                {true, time.Hour, many(maxServed+2, func(c *contact) { c.needy = true }), 2, "000"},
		"two of a site":                        {true, time.Hour, many(2, func(c *contact) { c.site = "one" }), 0, ""},
		"three of a site":                      {true, time.Hour, many(3, func(c *contact) { c.site = "one" }), 1, "000"},
		"members of this site are no matter":   {true, time.Hour, many(60, func(c *contact) { c.local = true }), 0, ""},
		"no gateway":                           {false, time.Hour, many(3, nil), 3, ""},
		"no gateway any more since a moment":   {false, handover / 2, many(3, nil), 0, ""},
		"no gateway, called just now":          {false, time.Hour, many(1, young), 0, ""},
		"no gateway, with a transfer":          {false, time.Hour, many(1, func(c *contact) { c.busy = true }), 0, ""},
		"no gateway, though needed or named":   {false, time.Hour, many(2, func(c *contact) { c.needy, c.named = true, true }), 2, ""},
		"no gateway: members are no matter":    {false, time.Hour, many(9, func(c *contact) { c.local = true }), 0, ""},
		"all of one site, though all needy":    {true, time.Hour, many(5, func(c *contact) { c.site, c.needy = "one", true }), 3, "000"},
		"nobody":                               {false, time.Hour, nil, 0, ""},
		"a transfer counts, and is not parted": {true, time.Hour, many(maxOutside+2, func(c *contact) { c.busy = true }), 0, ""},
	} {
		leave := surplus(noon, test.gateway, noon.Add(-test.since), test.connected)
		if len(leave) != test.leave {
			t.Errorf("%s: %d left, want %d", name, len(leave), test.leave)
		}
		if isConnected(leave, peer.ID(test.never)) {
			t.Errorf("%s: %s is left", name, test.never)
		}
	}
}

// abroad is n bootstrap nodes outside, perSite at each site.
func abroad(t *testing.T, n, perSite int) (list []peer.AddrInfo) {
	t.Helper()
	for i := range n {
		list = append(list, peer.AddrInfo{ID: newID(t), Addrs: addrs(fmt.Sprintf("/ip4/11.0.%d.%d/tcp/1", i/perSite, 1+i%perSite))})
	}
	return list
}

func (h *dialledHost) dialled() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.dials)
}

// join has every dial succeed, with somebody outside.
func (h *dialledHost) join(site func(peer.ID) string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = func(id peer.ID) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.linked[id] = contact{id: id, site: site(id), since: time.Now()}
		return nil
	}
}

// A gateway dials until it has enough, no more; one that is none dials nobody
// outside, and does so at once when it becomes one.
func TestOutsideIsBounded(t *testing.T) {
	search(t, WAN, abroad(t, 20, 1), func(f *finder, h *dialledHost, _ chan<- peer.AddrInfo) {
		h.mu.Lock()
		clear(h.dials)
		h.mu.Unlock()
		w := f.site.(*watch)
		w.set(false)
		time.Sleep(time.Hour)
		if n := h.dialled(); n != 0 {
			t.Errorf("a node that is no gateway dialled %d", n)
		}
		h.join(func(id peer.ID) string { return string(id) })
		w.set(true)
		time.Sleep(time.Minute)
		if n := h.dialled(); n != maxOutside {
			t.Errorf("a gateway dialled %d", n)
		}
		time.Sleep(24 * time.Hour)
		if n := h.dialled(); n != maxOutside {
			t.Errorf("a gateway that has enough dialled %d", n)
		}
	})
}

// Of one site a gateway dials two.
func TestSitesAreBounded(t *testing.T) {
	search(t, WAN, abroad(t, 12, 4), func(f *finder, h *dialledHost, _ chan<- peer.AddrInfo) {
		site := make(map[peer.ID]string)
		for i, b := range f.bootstrap[:12] {
			site[b.ID] = fmt.Sprintf("11.0.%d.0", i/4)
		}
		h.mu.Lock()
		clear(h.dials) // of peers that did not answer at once
		h.mu.Unlock()
		h.join(func(id peer.ID) string { return site[id] })
		time.Sleep(time.Hour)
		per := make(map[string]int)
		for _, c := range h.contacts() {
			per[c.site]++
		}
		if len(per) != 3 || slices.Max(slices.Collect(maps.Values(per))) != maxPerSite || len(h.contacts()) != 3*maxPerSite {
			t.Errorf("connected to %v", per)
		}
	})
}

// What nobody answers costs, on a satellite link, few dials; a wish makes it
// quick once, and not again at once.
func TestSatelliteIsPatient(t *testing.T) {
	search(t, Satellite, abroad(t, 3, 1), func(f *finder, h *dialledHost, _ chan<- peer.AddrInfo) {
		total := func() (n int) {
			for _, b := range f.bootstrap {
				n += h.count(b.ID)
			}
			return n
		}
		time.Sleep(24 * time.Hour)
		first := total()
		if first < 3 || first > 3*18 {
			t.Errorf("%d dials on the first day", first)
		}
		time.Sleep(6 * 24 * time.Hour)
		if n := total() - first; n > 6*3*6 {
			t.Errorf("%d dials in the six days after it", n)
		}
		before := total()
		for range 10 {
			f.hurry()
			synctest.Wait()
		}
		if n := total() - before; n != 3 {
			t.Errorf("%d dials after a wish", n)
		}
	})
}

// A peer that asked to be left alone is dialled by those only who have no other
// contact.
func TestLeftAlone(t *testing.T) {
	search(t, WAN, abroad(t, 1, 1), func(f *finder, h *dialledHost, _ chan<- peer.AddrInfo) {
		p := f.bootstrap[0].ID
		other := outsider("other", nil)
		h.mu.Lock()
		h.linked[other.id] = other
		h.mu.Unlock()
		f.outside.leave(p, 2*time.Hour)
		before := h.count(p)
		time.Sleep(2*time.Hour - time.Minute)
		if n := h.count(p) - before; n != 0 {
			t.Errorf("%d dials", n)
		}
		time.Sleep(20 * time.Minute)
		if h.count(p) == before {
			t.Error("never dialled again")
		}
		f.outside.leave(p, 24*time.Hour)
		h.link(other.id, false)
		f.wake()
		before = h.count(p)
		time.Sleep(time.Hour)
		if h.count(p) == before {
			t.Error("the only contact that could be is left alone")
		}
	})
}

// A node that stops being a gateway parts after a while, and a wall clock is
// not asked: all waits are of the monotonic clock.
func TestTrimParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(true)
		var mu sync.Mutex
		parted := make(map[peer.ID]time.Time) // mu
		connected := []contact{outsider("a", func(c *contact) { c.since = time.Now() }), {id: "member", local: true}}
		f := &finder{site: w, preset: WAN, log: discard}
		f.complete()
		f.connected = func() []contact {
			mu.Lock()
			defer mu.Unlock()
			return slices.DeleteFunc(slices.Clone(connected), func(c contact) bool { return !parted[c.id].IsZero() })
		}
		f.parts = func(_ context.Context, id peer.ID, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			parted[id] = time.Now()
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.trim(ctx) }()
		time.Sleep(time.Hour)
		mu.Lock()
		if len(parted) != 0 {
			t.Errorf("a gateway parted from %v", parted)
		}
		mu.Unlock()
		start := time.Now()
		w.set(false)
		time.Sleep(time.Minute)
		mu.Lock()
		at := parted["a"]
		if wait := at.Sub(start); at.IsZero() || wait < handover || wait > handover+trimPause || len(parted) != 1 {
			t.Errorf("parted from %v, want after %s", parted, handover)
		}
		mu.Unlock()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestRemoteSites(t *testing.T) {
	for _, test := range []struct{ label, at, want string }{
		{"quay", "/ip4/192.0.2.1/tcp/1", "label quay"},
		{"", "/ip4/192.0.2.1/tcp/1", "192.0.2.0"},
		{"", "/ip4/192.0.2.200/udp/1/quic-v1", "192.0.2.0"},
		{"", "/ip6/2001:db8:7:1::9/tcp/1", "2001:db8:7::"},
		{"", "/dns4/a.example/tcp/1", "peer "},
		{"", "/ip4/192.0.2.1/tcp/1/p2p/12D3KooWCWHSSY57AxAfzJ5uDYwPsCHREw2q7hwNm4Asj5benZau/p2p-circuit", "peer "},
	} {
		if got := remoteSite(test.label, ipOf(addrs(test.at)[0]), ""); got != test.want {
			t.Errorf("%q at %s: %q, want %q", test.label, test.at, got, test.want)
		}
	}
}
