package node

import (
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

func fired(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Whoever waits is woken by each change, and by nothing else.
func TestBoard(t *testing.T) {
	b := newBoard()
	changed := func(do func()) bool {
		_, c := b.get("acme/vad")
		do()
		return fired(c)
	}
	failed := entry{version: "1", state: api.StateFailed, reason: "broken", final: true}
	if !changed(func() { b.set("acme/vad", failed) }) {
		t.Error("a change wakes nobody")
	}
	if changed(func() { b.set("acme/vad", failed) }) {
		t.Error("the same again wakes people")
	}
	if e, _ := b.get("acme/vad"); e != failed {
		t.Errorf("says %+v", e)
	}
	b.reopen(func(m manifest.Model) bool { return m == "acme/asr" })
	if e, _ := b.get("acme/vad"); !e.final {
		t.Error("another model was reopened")
	}
	b.reopen(func(manifest.Model) bool { return true })
	if e, _ := b.get("acme/vad"); e.final || e.reason != "broken" {
		t.Errorf("reopened: %+v", e)
	}
	if !changed(b.touch) || !changed(func() { b.drop("acme/vad") }) || changed(func() { b.drop("acme/vad") }) {
		t.Error("touch and drop wake when they must not, or do not when they must")
	}
	if e, _ := b.get("acme/vad"); e != (entry{}) {
		t.Errorf("dropped: %+v", e)
	}
}
