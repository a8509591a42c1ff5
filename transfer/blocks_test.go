package transfer

import (
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// TestPauseBeforeAnotherPeer: while a peer that was asked for blocks may still
// answer, no other one is, even if one connects in the meantime; a peer that
// keeps silent for the pause of the link gets company, once for each pause.
func TestPauseBeforeAnotherPeer(t *testing.T) {
	r := makeRelease(t, 34, 1<<20)
	bubble(t, func(t *testing.T) {
		l := link{100 * mbit, 5 * time.Millisecond}
		hosts := simHosts(t, l, l, l, l, l)
		b := newNode(t, hosts[0], newMemStore())
		asked := make(chan time.Time, 100)
		silent := func(_ *conn, m *message) bool {
			if m.Want != nil {
				asked <- time.Now()
			}
			return true
		}
		done := make(chan error, 1)
		go func() { done <- b.Blocks(within(t, time.Hour), nil, []manifest.CID{r.manifest.CID}) }()
		start := time.Now()
		for _, h := range hosts[1:4] {
			rogue(h, silent)
			connect(t, h, b.host) // wakes the one who looks for peers
			time.Sleep(100 * time.Millisecond)
		}
		pause, last := WAN.pace().stall, start
		for i := range 3 {
			at := <-asked
			if least := time.Duration(min(i, 1)) * pause; at.Sub(last) < least-100*time.Millisecond || at.Sub(last) > least+2*time.Second {
				t.Errorf("peer %d was asked %s after the one before, want %s", i, at.Sub(last), least)
			}
			last = at
		}
		a := newNode(t, hosts[4], r.seedBlocks(newMemStore()))
		meet(t, a, b)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		a.stop()
		b.stop()
	})
}
