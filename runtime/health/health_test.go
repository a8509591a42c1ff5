package health_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/runtime/health"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func flock(n int) []health.Node {
	nodes := make([]health.Node, n)
	for i := range nodes {
		nodes[i] = health.Node{ID: fmt.Sprintf("node %d", i), Class: "amd64"}
	}
	return nodes
}

// rollout lets every node look at each step, all knowing what all said before
// it, and returns how many tried the release by each step's end.
func rollout(nodes []health.Node, release string, fails func(i int) bool, step time.Duration, steps int) (tried []int) {
	count := 0
	for s := range steps {
		said := append([]health.Node{}, nodes...)
		for i := range nodes {
			if nodes[i].Outcome != health.Untried || !health.Decide(release, nodes[i], said, start, start.Add(time.Duration(s)*step), health.DefaultPolicy()).Go {
				continue
			}
			count++
			if nodes[i].Outcome = health.Good; fails(i) {
				nodes[i].Outcome = health.Bad
			}
		}
		tried = append(tried, count)
	}
	return tried
}

// TestBadReleaseStopsAtTheFirstWave: whatever the release, of ten nodes no more
// than two ever try one that fails.
func TestBadReleaseStopsAtTheFirstWave(t *testing.T) {
	for n := range 50 {
		tried := rollout(flock(10), fmt.Sprintf("release %d", n), func(int) bool { return true }, time.Minute, 24*60)
		if last := tried[len(tried)-1]; last != 2 {
			t.Fatalf("release %d: %d nodes tried it", n, last)
		}
	}
}

// TestGoodReleaseGoesOn: each wave follows the one before as soon as it is heard
// of, without waiting for the time.
func TestGoodReleaseGoesOn(t *testing.T) {
	tried := rollout(flock(100), "good", func(int) bool { return false }, time.Second, 4)
	if fmt.Sprint(tried) != "[10 34 100 100]" {
		t.Errorf("tried by the end of each step: %v", tried)
	}
}

// TestSilenceDelays: a node that hears nobody goes when its time has come.
func TestSilenceDelays(t *testing.T) {
	nodes := flock(20)
	for _, self := range nodes {
		v := health.Decide("r", self, nodes, start, start, health.DefaultPolicy())
		if v.Go != (v.Wave == 1) || v.Waves != 3 {
			t.Fatalf("at once: %+v", v)
		}
		if v.Go {
			continue
		}
		if want := start.Add(time.Duration(v.Wave-1) * 10 * time.Minute); !v.At.Equal(want) {
			t.Errorf("wave %d at %s, want %s", v.Wave, v.At, want)
		}
		if v := health.Decide("r", self, nodes, start, v.At, health.DefaultPolicy()); !v.Go {
			t.Errorf("when its time has come: %+v", v)
		}
	}
}

func TestDecide(t *testing.T) {
	day := start.Add(24 * time.Hour)
	with := func(n, good, bad int, class string) []health.Node {
		nodes := flock(n)
		for i := range nodes {
			nodes[i].Class = class
			switch {
			case i > 0 && i <= bad:
				nodes[i].Outcome = health.Bad
			case i > bad && i <= bad+good:
				nodes[i].Outcome = health.Good
			}
		}
		return nodes
	}
	for name, tt := range map[string]struct {
		nodes  []health.Node
		now    time.Time
		policy health.Policy
		want   health.Verdict
	}{
		"alone":                        {nil, start, health.DefaultPolicy(), health.Verdict{Go: true, Nodes: 1, Quorum: 1}},
		"few nodes have no waves":      {with(4, 0, 0, "amd64"), start, health.DefaultPolicy(), health.Verdict{Go: true, Nodes: 4, Quorum: 1}},
		"one of few says it is bad":    {with(4, 0, 1, "amd64"), day, health.DefaultPolicy(), health.Verdict{Held: true, Nodes: 4, Bad: 1, Quorum: 1}},
		"more say it is good":          {with(4, 2, 1, "amd64"), start, health.DefaultPolicy(), health.Verdict{Go: true, Nodes: 4, Good: 2, Bad: 1, Quorum: 1}},
		"other hardware is not asked":  {with(4, 0, 3, "arm64"), start, health.DefaultPolicy(), health.Verdict{Go: true, Nodes: 1, Quorum: 1}},
		"without waves many go":        {with(20, 0, 0, "amd64"), start, health.Policy{Alone: 5}, health.Verdict{Go: true, Nodes: 20, Quorum: 3}},
		"without waves bad is heard":   {with(20, 0, 3, "amd64"), start, health.Policy{Alone: 5}, health.Verdict{Held: true, Nodes: 20, Bad: 3, Quorum: 3}},
		"less than a quorum is waited": {with(20, 0, 2, "amd64"), day, health.Policy{Alone: 1, Interval: time.Minute}, health.Verdict{Nodes: 20, Bad: 2, Quorum: 3, Waves: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			got := health.Decide("r", health.Node{ID: "node 0", Class: "amd64"}, tt.nodes, start, tt.now, tt.policy)
			tt.want.Wave = got.Wave
			if got != tt.want || (got.String() == "") != got.Go {
				t.Errorf("got %+v %q, want %+v", got, got, tt.want)
			}
		})
	}
}

// TestWhateverIsReported: nodes agree on places, every wave before the last is
// at least a quorum, and once a node may go time does not take that back.
func TestWhateverIsReported(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := flock(rapid.IntRange(1, 40).Draw(rt, "nodes"))
		for i := range nodes {
			nodes[i].Outcome = health.Outcome(rapid.IntRange(0, 2).Draw(rt, "outcome"))
		}
		release := rapid.StringN(1, 8, 8).Draw(rt, "release")
		sizes := map[int]int{}
		for _, self := range nodes {
			before := false
			for _, after := range []time.Duration{0, time.Minute, time.Hour, 48 * time.Hour} {
				v := health.Decide(release, self, nodes, start, start.Add(after), health.DefaultPolicy())
				if v.Nodes != len(nodes) || v.Held && v.Go || before && !v.Go {
					rt.Fatalf("after %s: %+v, before %v", after, v, before)
				}
				if before = v.Go; after == 0 {
					sizes[v.Wave]++
				}
			}
		}
		if len(nodes) >= 5 && sizes[1] > 0 && sizes[1] < min(3, (len(nodes)+4)/5) {
			rt.Fatalf("%d nodes, waves %v", len(nodes), sizes)
		}
	})
}

func TestPolicy(t *testing.T) {
	for _, p := range []health.Policy{{}, {Alone: 1, Interval: -1}, {Alone: 1, Interval: 1000 * time.Hour}} {
		if p.Validate() == nil {
			t.Errorf("%+v is valid", p)
		}
	}
	if err := health.DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
}
