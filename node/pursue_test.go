package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// What waits for a peer gives way after a turn, in order; what is to run never
// waits behind what is only carried.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{board: newBoard(), paths: newPaths(nil, &allowances{}, nil), retries: newRetries(), flock: newFlock(), log: discard}
		wants := make(map[manifest.CID]want)
		for i := range 3 {
			w := wantOf(t, manifest.Model(fmt.Sprintf("acme/m%d", i)), fmt.Sprint(i))
			w.purpose = toCarry
			wants[w.Manifest] = w
		}
		run := wantOf(t, "zoo/run", "run")
		wants[run.Manifest] = run
		workers := make(map[manifest.CID]*worker)
		work := func(w want, s api.State) *worker {
			_, cancel := context.WithCancel(t.Context())
			workers[w.Manifest] = &worker{want: w, since: time.Now(), cancel: cancel}
			n.tell(w, entry{state: s})
			return workers[w.Manifest]
		}
		ready, _ := n.ready(wants, workers, time.Now())
		if len(ready) != 4 || ready[0].Model != "zoo/run" || ready[1].Model != "acme/m0" {
			t.Fatalf("order is %v", ready)
		}
		idle, busy := work(ready[1], api.StateWaiting), work(ready[2], api.StateFetching)
		n.endTurns(workers, 2)
		if idle.stopped || busy.stopped {
			t.Error("stopped before its turn was over")
		}
		time.Sleep(2 * turn)
		n.endTurns(workers, 2)
		if !idle.stopped || busy.stopped {
			t.Errorf("waiting stopped: %v, fetching stopped: %v", idle.stopped, busy.stopped)
		}
		delete(workers, idle.want.Manifest)
		ready, _ = n.ready(wants, workers, time.Now())
		if len(ready) != 3 || ready[0].Model != "zoo/run" || ready[1].Model != "acme/m2" || ready[2].Model != idle.want.Model {
			t.Errorf("order after a turn is %v", ready)
		}
	})
}

// A failed want is not ready before its time, which ready tells; a model has
// one worker at a time.
func TestReady(t *testing.T) {
	n := &Node{board: newBoard(), paths: newPaths(nil, &allowances{}, nil), retries: newRetries(), flock: newFlock(), log: discard}
	w, newer := wantOf(t, "acme/vad", "1"), wantOf(t, "acme/vad", "2")
	wants := map[manifest.CID]want{w.Manifest: w}
	wait := n.retries.failed(w, errors.New("no luck"), noon)
	if ready, next := n.ready(wants, nil, noon); len(ready) != 0 || !next.Equal(noon.Add(wait)) {
		t.Errorf("%v, next at %s", ready, next)
	}
	if ready, next := n.ready(wants, nil, noon.Add(wait)); len(ready) != 1 || !next.Equal(noon.Add(wait+lookInterval)) {
		t.Errorf("%v, next at %s", ready, next)
	}
	wants = map[manifest.CID]want{newer.Manifest: newer}
	workers := map[manifest.CID]*worker{w.Manifest: {want: w}}
	if ready, _ := n.ready(wants, workers, noon); len(ready) != 0 {
		t.Error("two workers of one model")
	}
	n.board.set("acme/vad", entry{version: "2", state: api.StateFailed, final: true})
	if ready, _ := n.ready(wants, nil, noon); len(ready) != 0 {
		t.Error("what failed for good is tried again")
	}
}
