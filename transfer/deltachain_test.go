package transfer

import (
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
)

func deltaVillage(t *testing.T, v1, v2 *release, hosts []host.Host, where []int) *village {
	return settle(t, hosts, where, func(i int, h host.Host, edit func(*Config)) *node {
		s := onlyOld(v1, v2)
		if i == 0 {
			s = both(v1, v2)
		}
		return deltaNode(t, h, s, &fakeCoder{}, edit)
	})
}

// update gets the delta on every node but the first, at the same time.
func (v *village) update(t *testing.T, v1, v2 *release) {
	t.Helper()
	var all sync.WaitGroup
	for _, n := range v.nodes[1:] {
		all.Go(func() {
			job := jobOf(v1, v2)
			job.Outside = true
			e := n.Join(v2.manifest.CID)
			defer e.Leave()
			job.Errand = e
			if _, err := n.Delta(within(t, time.Hour), job); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, n := range v.nodes {
		v2.check(t, n.store)
	}
}

// TestDeltaChain: four sites want a delta at the same time. The one that codes
// it sends it about once, each of the others receives it once, and all have it
// little later than one would.
func TestDeltaChain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 51, 2<<20)
		hosts := simHosts(t, same(link{1 * mbit, 10 * time.Millisecond}, 5)...)
		v := deltaVillage(t, v1, v2, hosts, []int{0, 1, 2, 3, 4})
		start := time.Now()
		v.update(t, v1, v2)
		took, ideal := time.Since(start), time.Duration(deltaSize(v2)*8)*time.Microsecond
		copies := float64(v.nodes[0].Stats().Deltas.BytesSent) / float64(deltaSize(v2))
		t.Logf("took %s, one copy takes %s; the first sent %.3f copies", took, ideal, copies)
		if copies > 1.05 || took > ideal*130/100 {
			t.Errorf("took %s, one copy takes %s; the first sent %.3f copies", took, ideal, copies)
		}
		for i := 1; i < 5; i++ {
			if n := v.outside(i); n > uint64(deltaSize(v2))*105/100 {
				t.Errorf("site %d received %d bytes of a delta of %d", i, n, deltaSize(v2))
			}
		}
		v.stop()
	})
}

// TestDiscreetGivesItself: a peer that is to tell nobody of others sends nobody
// elsewhere.
func TestDiscreetGivesItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 53, 1<<20)
		hosts := simHosts(t, same(link{1 * mbit, 10 * time.Millisecond}, 3)...)
		v := settle(t, hosts, []int{0, 1, 2}, func(i int, h host.Host, edit func(*Config)) *node {
			s := onlyOld(v1, v2)
			if i == 0 {
				s = both(v1, v2)
			}
			return deltaNode(t, h, s, &fakeCoder{}, edit, func(c *Config) { c.Discreet = i == 0 })
		})
		v.update(t, v1, v2)
		if sent := v.nodes[0].Stats().Deltas.BytesSent; sent < 2*uint64(deltaSize(v2))*9/10 {
			t.Errorf("sent %d bytes of a delta of %d that two asked for", sent, deltaSize(v2))
		}
		v.stop()
	})
}

// TestDeltaChainBreaks: a link of the chain vanishes, or goes silent, in the
// middle. Those behind it go on from where they are.
func TestDeltaChainBreaks(t *testing.T) {
	for name, cut := range map[string]func(v *village){
		"the first of it vanishes": func(v *village) { _ = v.nodes[1].host.Close() },
		"it loses its source": func(v *village) {
			_ = v.nodes[1].host.Network().ClosePeer(v.nodes[0].host.ID())
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v1, v2 := updated(t, 52, 2<<20)
				hosts := simHosts(t, same(link{1 * mbit, 10 * time.Millisecond}, 4)...)
				v := deltaVillage(t, v1, v2, hosts, []int{0, 1, 2, 3})
				var all sync.WaitGroup
				for i, n := range v.nodes[1:] {
					time.Sleep(500 * time.Millisecond) // so that the first one asks first
					all.Go(func() {
						job := jobOf(v1, v2)
						job.Outside = true
						got, err := n.Delta(within(t, time.Hour), job)
						if i > 0 && (err != nil || got.Received > uint64(deltaSize(v2))*103/100) {
							t.Errorf("site %d: %+v of %d bytes, %v", i+1, got, deltaSize(v2), err)
						}
					})
				}
				time.Sleep(3 * time.Second)
				before := v.nodes[2].Stats().Deltas.BytesReceived
				cut(v)
				start := time.Now()
				if name != "the first of it vanishes" {
					time.Sleep(20 * time.Second)
					meet(t, v.nodes[0], v.nodes[1])
				} else {
					v.nodes[1].stop()
				}
				all.Wait()
				t.Logf("%d bytes were there, the rest took %s", before, time.Since(start))
				if before == 0 {
					t.Error("nothing was passed on before the cut")
				}
				v2.check(t, v.nodes[2].store)
				v2.check(t, v.nodes[3].store)
				v.stop()
			})
		})
	}
}
