package site

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// BenchmarkLook works out all turns and gateways anew, as after each change, in
// an ordinary site and in one that is as large as can be.
func BenchmarkLook(b *testing.B) {
	for _, bench := range []struct {
		name             string
		members, errands int
	}{{"3 members, 1 errand", 3, 1}, {"50 members, 4 errands", 50, 4}, {"256 members, 64 errands", maxLinks, MaxErrands}} {
		b.Run(bench.name, func(b *testing.B) {
			c := newCircle(b, 1, true)
			said := &state{Outside: true}
			for i := range bench.errands {
				release := manifest.SumCID(manifest.DagCBOR, []byte{byte(i)})
				c.join(release, much, 0)
				said.Errands = append(said.Errands, stance{Release: release})
			}
			s := c.sites[0]
			for i := range bench.members - 1 {
				s.mu.Lock()
				s.heard(peer.ID(fmt.Sprint(i)), said, time.Now())
				s.mu.Unlock()
			}
			if len(s.members) != bench.members-1 {
				b.Fatalf("%d members", len(s.members))
			}
			b.ReportAllocs()
			for b.Loop() {
				s.mu.Lock()
				s.look(time.Now())
				s.mu.Unlock()
			}
		})
	}
}
