package transfer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// plot says on which site each peer is.
type plot map[peer.ID]int

// fakeSite is a site whose turns the test decides.
type fakeSite struct {
	plot plot

	mu      sync.Mutex
	turn    Turn
	changed chan struct{}
	came    uint64
	joined  int
}

func (s *fakeSite) Local(c network.Conn) bool {
	return s.plot[c.LocalPeer()] == s.plot[c.RemotePeer()]
}

func (s *fakeSite) Join(manifest.CID) Errand {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined++
	return s
}

func (s *fakeSite) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined--
}

func (s *fakeSite) Turn() (Turn, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn, s.changed
}

func (s *fakeSite) Came(bytes, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came = bytes
}

func (s *fakeSite) set(t Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn = t
	close(s.changed)
	s.changed = make(chan struct{})
}

// village is nodes on sites; who is on which is the number given for each.
type village struct {
	nodes []*node
	sites []*fakeSite
	plot  plot
}

// settle makes a node on each host and connects all with each other. The first
// is alone and outside of all sites.
func settle(t *testing.T, hosts []host.Host, where []int, add func(i int, h host.Host, edit func(*Config)) *node) *village {
	t.Helper()
	v := &village{plot: plot{}}
	for i, h := range hosts {
		v.plot[h.ID()] = where[i]
	}
	for i, h := range hosts {
		s := &fakeSite{plot: v.plot, changed: make(chan struct{}), turn: Turn{Outside: true, Sharers: []peer.ID{h.ID()}}}
		v.sites = append(v.sites, s)
		v.nodes = append(v.nodes, add(i, h, func(c *Config) { c.Site = s }))
	}
	meet(t, v.nodes...)
	return v
}

// fetch gets the release on every node but the first, as a node does: from
// inside first.
func (v *village) fetch(t *testing.T, ctx context.Context, r *release) {
	t.Helper()
	var all sync.WaitGroup
	for _, n := range v.nodes[1:] {
		all.Go(func() {
			e := n.Join(r.manifest.CID)
			defer e.Leave()
			if err := n.Blocks(ctx, e, []manifest.CID{r.manifest.CID}); err != nil {
				t.Error(err)
			}
			if err := n.Trees(ctx, e, r.files); err != nil {
				t.Error(err)
			}
			job := Job{Release: r.manifest.CID, Files: r.files, Errand: e}
			inside := job
			inside.Inside = true
			err := n.Fetch(ctx, inside)
			if errors.Is(err, ErrTurn) || errors.Is(err, ErrSlow) {
				err = n.Fetch(ctx, job)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, n := range v.nodes {
		r.check(t, n.store)
	}
}

// outside returns what came to the node from other sites.
func (v *village) outside(i int) (bytes uint64) {
	n := v.nodes[i]
	for _, p := range n.Stats().Peers {
		if v.plot[p.Peer] != v.plot[n.host.ID()] {
			bytes += p.BytesReceived
		}
	}
	return bytes
}

func (v *village) stop() {
	for _, n := range v.nodes {
		n.stop()
	}
}

func chunkNode(t *testing.T, r *release) func(i int, h host.Host, edit func(*Config)) *node {
	return func(i int, h host.Host, edit func(*Config)) *node {
		s := newMemStore()
		if i == 0 {
			r.seed(s, nil)
		}
		return newNode(t, h, s, edit)
	}
}

func same(l link, n int) (links []link) {
	for range n {
		links = append(links, l)
	}
	return links
}

// TestSiteFetchesOnce: of three members one fetches, or two share it out; the
// others have it from them, and one copy enters the site, blocks included.
func TestSiteFetchesOnce(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: takes a minute with the race detector; this test runs again without it")
	}
	for name, fetchers := range map[string]int{"one fetches": 1, "two share": 2} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := makeRelease(t, 41, 4<<20)
				hosts := simHosts(t, same(link{10 * mbit, 5 * time.Millisecond}, 4)...)
				v := settle(t, hosts, []int{0, 1, 1, 1}, chunkNode(t, r))
				var sharers []peer.ID
				for _, h := range hosts[1 : 1+fetchers] {
					sharers = append(sharers, h.ID())
				}
				for i, s := range v.sites[1:] {
					s.set(Turn{Outside: i < fetchers, Sharers: sharers})
				}
				v.fetch(t, within(t, time.Hour), r)
				var sum uint64
				for i := 1; i <= 3; i++ {
					n := v.outside(i)
					t.Logf("member %d: %d bytes from outside", i, n)
					if sum += n; i > fetchers && n > 0 {
						t.Errorf("member %d, whose turn it was not, took %d bytes from outside", i, n)
					}
					if i <= fetchers && n < r.size()/uint64(fetchers)/4 {
						t.Errorf("member %d took %d bytes, its share is about %d", i, n, r.size()/uint64(fetchers))
					}
				}
				if sum > r.size()*104/100 {
					t.Errorf("%d bytes entered a site that wanted %d", sum, r.size())
				}
				v.stop()
			})
		})
	}
}

// TestTurnPasses: the one whose turn it is loses its way out; the next one
// fetches what is missing and nothing else.
func TestTurnPasses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 42, 4<<20)
		hosts := simHosts(t, same(link{2 * mbit, 5 * time.Millisecond}, 4)...)
		v := settle(t, hosts, []int{0, 1, 1, 1}, chunkNode(t, r))
		for i, s := range v.sites[1:] {
			s.set(Turn{Outside: i == 0, Sharers: []peer.ID{hosts[1].ID()}})
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			v.fetch(t, within(t, time.Hour), r)
		}()
		time.Sleep(8 * time.Second)
		_ = hosts[1].Network().ClosePeer(hosts[0].ID())
		time.Sleep(15 * time.Second)
		for i, s := range v.sites[1:] {
			s.set(Turn{Outside: i == 1, Sharers: []peer.ID{hosts[2].ID()}})
		}
		<-done
		first, second := v.outside(1), v.outside(2)
		t.Logf("%d bytes through the first, %d through the second", first, second)
		if first < r.size()/8 || second < r.size()/8 || first+second > r.size()*103/100+100_000 || v.outside(3) > 0 {
			t.Errorf("%d + %d + %d bytes entered a site that wanted %d", first, second, v.outside(3), r.size())
		}
		v.stop()
	})
}

// TestSitesTrade: three sites behind uplinks as fast as the seed's have the
// release in little more than the time that one copy takes, and the seed sends
// little more than one.
func TestSitesTrade(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: takes a minute with the race detector; this test runs again without it")
	}
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 43, 10_000_000)
		hosts := simHosts(t, same(link{1 * mbit, 10 * time.Millisecond}, 4)...)
		v := settle(t, hosts, []int{0, 1, 2, 3}, chunkNode(t, r))
		start := time.Now()
		v.fetch(t, within(t, time.Hour), r)
		took, ideal := time.Since(start), time.Duration(float64(r.size())*8/mbit*float64(time.Second))
		s := v.nodes[0].Stats()
		copies := float64(s.BytesSent) / float64(r.size())
		t.Logf("took %s, one copy takes %s; the seed sent %.3f copies", took, ideal, copies)
		if copies > 1.06 || took > ideal*125/100 {
			t.Errorf("took %s, one copy takes %s; the seed sent %.3f copies", took, ideal, copies)
		}
		for i := 1; i <= 3; i++ {
			if n, d := v.outside(i), v.nodes[i].Stats().DuplicateBytes; n > r.size()*102/100 || d*100 > r.size() {
				t.Errorf("site %d took %d bytes of %d, %d twice", i, n, r.size(), d)
			}
		}
		v.stop()
	})
}

// TestWhoClaimsAndDoesNotDeliver: a member that says that it gets everything,
// and gets nothing, holds nobody up for long.
func TestWhoClaimsAndDoesNotDeliver(t *testing.T) {
	for name, grows := range map[string]bool{"silent": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := makeRelease(t, 44, 2<<20)
				hosts := simHosts(t, same(link{10 * mbit, 5 * time.Millisecond}, 3)...)
				over := make(chan struct{})
				hosts[2].SetStreamHandler(ProtocolID, func(s network.Stream) {
					c := newConn(s, 4<<10, time.Hour, time.Hour)
					_ = c.send(&message{Hello: &hello{Version: Version, Link: WAN, MaxFrame: 4 << 20}})
					for n := range uint64(400) {
						if grows || n == 0 {
							_ = c.send(&message{Coming: &coming{Chunks: manifest.NewRanges(0, r.chunkCount(0)), Bytes: n}})
						}
						if c.flush() != nil {
							return
						}
						select {
						case <-time.After(2 * time.Second):
						case <-over:
							return
						}
					}
				})
				a := newNode(t, hosts[0], r.seed(newMemStore(), nil))
				b := newNode(t, hosts[1], r.seedBlocks(newMemStore()))
				meet(t, a, b)
				connect(t, hosts[1], hosts[2])
				start := time.Now()
				if err := b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > claimLongest+time.Minute {
					t.Errorf("took %s", took)
				}
				r.check(t, b.store)
				close(over)
				a.stop()
				b.stop()
			})
		})
	}
}

// TestMembersHoldTheSamePart: members that hold what is held here, too, are no
// reason to wait for them.
func TestMembersHoldTheSamePart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 45, 2<<20)
		hosts := simHosts(t, same(link{10 * mbit, 5 * time.Millisecond}, 3)...)
		v := settle(t, hosts, []int{0, 1, 1}, func(i int, h host.Host, edit func(*Config)) *node {
			s := newMemStore()
			r.seed(s, func(n int) bool { return i == 0 || n > 3 })
			return newNode(t, h, s, edit)
		})
		v.sites[2].set(Turn{Sharers: []peer.ID{hosts[1].ID()}})
		start := time.Now()
		v.fetch(t, within(t, time.Hour), r)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		v.stop()
	})
}
