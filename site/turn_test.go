package site

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAloneHasTheTurn: at once, and before anything runs.
func TestAloneHasTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, spot{})
		e := w.nodes[0].Join(releaseA)
		defer e.Leave()
		if turn, _ := e.Turn(); !turn.Outside || len(turn.Sharers) != 1 || turn.Sharers[0] != w.nodes[0].host.ID() {
			t.Errorf("turn of a node alone: %+v", turn)
		}
		if is, _ := w.nodes[0].Gateway(); !is {
			t.Error("a node alone is no gateway")
		}
	})
}

// TestOneOfThree: of three members with contact one gets the turn, and keeps it
// while bytes come.
func TestOneOfThree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, append(many(3, spot{label: labelled, latency: time.Millisecond}), spot{outside: true})...)
		w.meet(first(4)...)
		if got := len(w.nodes[0].Members()); got != 3 {
			t.Fatalf("%d members, want 3", got)
		}
		errands := w.join(releaseA, first(3)...)
		pass(time.Second)
		if got := turns(errands); len(got) != 1 {
			t.Errorf("%v have the turn, want one", got)
		}
	})
}
