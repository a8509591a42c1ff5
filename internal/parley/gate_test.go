package parley

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Most: 16, MostPerPeer: 2, Burst: 32, Refill: time.Second}
		for i := range g.Most {
			if !g.Enter(peer.ID(fmt.Sprint(i))) {
				t.Fatalf("peer %d is refused", i)
			}
		}
		if g.Enter("late") {
			t.Error("more than Most are admitted")
		}
		for i := range g.Most {
			g.Leave(peer.ID(fmt.Sprint(i)))
		}
		for range g.MostPerPeer {
			if !g.Enter("late") {
				t.Fatal("refused although there is room")
			}
		}
		if g.Enter("late") {
			t.Error("more than MostPerPeer are admitted")
		}
		for range g.MostPerPeer {
			g.Leave("late")
		}
		time.Sleep(time.Hour)
		g.Enter("other")
		if len(g.peers) != 1 {
			t.Errorf("%d peers are remembered, want 1", len(g.peers))
		}
	})
}
