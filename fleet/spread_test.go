package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A chain of sites over links of every kind: a change is known inside of the
// site within a second, and one pause later at the next site each.
func TestChainOfSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t,
			place{"harbour", WAN}, place{"harbour", WAN},
			place{"clinic", Narrow}, place{"clinic", Narrow},
			place{"ship", Satellite})
		f.connect(0, 1)
		f.connect(1, 2)
		f.connect(2, 3)
		f.connect(3, 4)
		f.pass(2 * time.Hour)
		for i := range f.nodes {
			f.wantTold(i, "1", 0, 1, 2, 3, 4)
		}
		f.nodes[0].say("2", 0)
		f.pass(time.Second)
		f.wantTold(0, "2", 1)
		f.pass(70 * time.Second) // after quiet, a change waits for what else may change
		f.wantTold(0, "2", 2, 3)
		f.pass(5*time.Minute + 10*time.Second)
		f.wantTold(0, "2", 4)

		// What follows waits for the next time, on every link for its own.
		f.nodes[0].say("3", 0)
		f.pass(time.Second)
		f.wantTold(0, "3", 1)
		f.wantTold(0, "2", 2, 3, 4)
		f.pass(5*time.Minute + 10*time.Second) // the narrow side decides
		f.wantTold(0, "3", 2, 3)
		f.wantTold(0, "2", 4)
		f.pass(30 * time.Minute)
		f.wantTold(0, "3", 4)

		if age := f.row(4, 0).Age; age < 30*time.Minute || age > 40*time.Minute {
			t.Errorf("the row is %s old at the ship, want what passed", age)
		}
	})
}

// Progress alone stays inside of the site for longer; there it goes out each
// second.
func TestProgressStaysAtHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", WAN}, place{"a", WAN}, place{"b", WAN})
		f.connect(0, 1)
		f.connect(1, 2)
		f.pass(2 * time.Minute)
		before := f.nodes[1].opened.Load() + f.nodes[2].opened.Load()
		for i := range 300 {
			f.nodes[0].say("1", uint16(i))
			f.pass(time.Second)
		}
		if got := f.row(1, 0).Models[0].Progress; got < 297 {
			t.Errorf("inside of the site progress %d is known, want 299 or nearly", got)
		}
		if got := f.row(2, 0).Models[0].Progress; got < 200 || got > 299 {
			t.Errorf("outside of it progress %d is known", got)
		}
		if got := f.nodes[1].opened.Load() + f.nodes[2].opened.Load() - before; got > 10 {
			t.Errorf("%d sessions over the WAN in five minutes of progress, want one a minute", got)
		}
	})
}

// A partition heals with the first contact, and every side learns all that has
// happened on the other.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", WAN}, place{"a", WAN}, place{"b", WAN}, place{"b", WAN})
		f.connect(0, 1)
		f.connect(2, 3)
		f.connect(1, 2)
		f.pass(time.Minute)
		f.disconnect(1, 2)
		f.nodes[0].say("2", 0)
		f.nodes[3].say("2", 0)
		f.pass(10 * time.Hour)
		f.wantTold(0, "1", 2, 3)
		f.wantTold(3, "1", 0, 1)
		if age := f.row(2, 0).Age; age < 10*time.Hour {
			t.Errorf("a row from before the partition is %s old", age)
		}
		f.connect(1, 2)
		f.pass(15 * time.Second)
		f.wantTold(0, "2", 2, 3)
		f.wantTold(3, "2", 0, 1)
	})
}

// A node that lost its home but not its key outgrows what it said before: by
// its clock, and where that is wrong too, by what others know of it. (Virtual
// time begins in 2000, which counts as a clock that is not set.)
func TestStoreLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", WAN}, place{"b", WAN}, place{"c", WAN})
		f.connect(0, 1)
		f.connect(1, 2)
		f.pass(time.Minute)
		for _, v := range []string{"2", "3", "4"} {
			f.nodes[0].say(v, 0)
			f.pass(time.Minute)
		}
		f.nodes[0].stop()
		f.nodes[0].start() // a restart is a new epoch
		f.pass(time.Minute)
		f.wantTold(0, "1", 1, 2)
		f.nodes[0].say("5", 0)
		f.pass(time.Minute)
		f.wantTold(0, "5", 1, 2)
		old := f.row(2, 0)

		f.nodes[0].stop()
		if err := os.RemoveAll(filepath.Join(f.nodes[0].dir, "fleet")); err != nil {
			t.Fatal(err)
		}
		f.nodes[0].start()
		f.pass(2 * time.Minute)
		f.wantTold(0, "1", 0, 1, 2)
		if now := f.row(2, 0); now.Epoch <= old.Epoch {
			t.Errorf("epoch %d after the loss, %d before", now.Epoch, old.Epoch)
		}
		if got, want := len(f.nodes[0].fleet.config.Table.Rows()), 3; got != want {
			t.Errorf("%d nodes are known again, want %d", got, want)
		}
	})
}

// Two machines with one key would drive each other's epochs up; each of them
// soon loses the patience to.
func TestTwoMachinesOfOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", LAN})
		n := f.nodes[0]
		twin := stranger{n.key, n.host.ID()}
		first := n.fleet.epoch
		for range 24 * 60 { // minutes
			r, data := twin.signed(t, n.fleet.epoch+1, 1)
			if v, _ := n.fleet.config.Table.put(r, data, 0, newStranger(t).peer, false); v != own {
				t.Fatalf("verdict %d", v)
			}
			n.fleet.outgrow(r.Epoch)
			f.pass(time.Minute)
		}
		if raised := n.fleet.epoch - first; raised > 60 {
			t.Errorf("the epoch went up by %d in a day", raised)
		}
	})
}

// After a restart a node shows what it knew, with the age that it has by now.
func TestRestartShowsAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", WAN}, place{"b", WAN})
		f.connect(0, 1)
		f.pass(time.Hour / 2)
		f.disconnect(0, 1)
		f.pass(time.Hour)
		f.nodes[0].stop()
		f.pass(24 * time.Hour)
		f.nodes[0].start()
		f.wantTold(1, "1", 0)
		if age := f.row(0, 1).Age; age < 25*time.Hour || age > 26*time.Hour {
			t.Errorf("the row is %s old after the restart, want 25h30m", age)
		}
	})
}
