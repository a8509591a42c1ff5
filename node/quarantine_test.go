package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// crasher returns a function that waits until the engine has begun to load a
// release, and ends the node as a crash in there would: the disk is left as it
// was during the last load.
func crasher(t *testing.T, b *bystander, engine *fakeEngine) func(b *bystander) {
	state := filepath.Join(b.node.dir, runtimeName, "state.json")
	loading := make(chan []byte, 16)
	engine.loading = func() {
		left, err := os.ReadFile(state)
		if err != nil {
			t.Error(err)
		}
		loading <- left
	}
	return func(b *bystander) {
		t.Helper()
		left := <-loading
		b.stop()
		for len(loading) > 0 {
			left = <-loading
		}
		if err := os.WriteFile(state, left, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A release that passes the probe and takes the node down is loaded at three
// starts and no more; status says why, and an operator's retry ends it.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	engine := &fakeEngine{}
	f := neighbour(t, p, root, engine, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	publish(t, p, vad, "1.0", "vad.onnx", onnx("one", 1))
	arrive(t, f, vad, "1.0")
	f.stop()

	crash := crasher(t, f, engine)
	publish(t, p, vad, "2.0", "vad.onnx", onnx("two", 2))
	for range 3 {
		f = start(t, f.node.dir, engine)
		arrive(t, f, vad, "2.0")
		crash(f)
	}

	f = start(t, f.node.dir, engine)
	refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "2.0", Timeout: patience}, api.CodeFailed, "quarantined")
	for range 2 {
		got := f.model(t, vad)
		if got.State != api.StateFailed || !strings.Contains(got.Reason, "ended 3 times while loading") || !strings.Contains(got.Reason, "dunlin retry acme/vad") {
			t.Errorf("status says %+v", got)
		}
		if !got.Serving || got.Active.Version != "1.0" {
			t.Errorf("1.0 does not serve: %+v", got)
		}
		// To follow it again is no word about the quarantine.
		must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
		refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "2.0", Timeout: patience}, api.CodeFailed, "quarantined")
	}
	f.stop()
	offline, err := Open(Options{Dir: f.node.dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := (&bystander{Client: api.Local(offline.Handler())}).model(t, vad); !strings.Contains(got.Reason, "quarantined") {
		t.Errorf("offline, status says %+v", got)
	}
	if err := offline.Close(); err != nil {
		t.Fatal(err)
	}

	f = start(t, f.node.dir, engine)
	refused(t, f, "retry", api.RulesRequest{Models: []string{"acme/other"}}, api.CodeUsage, "neither followed nor carried")
	if got := must[[]api.Model](t, f, "retry", api.RulesRequest{Models: []string{vad}}); len(got) != 1 || got[0].Model != vad {
		t.Errorf("retry of %+v", got)
	}
	arrive(t, f, vad, "2.0")
	if got := f.model(t, vad); !got.Serving || got.Active.Version != "2.0" || got.Reason != "" {
		t.Errorf("after the retry %+v", got)
	}
}

// A model whose only release is in quarantine serves again after the retry,
// without a restart.
func TestRetryBringsBack(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	engine := &fakeEngine{}
	f := neighbour(t, p, root, engine, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	publish(t, p, vad, "1.0", "vad.onnx", onnx("one", 1))
	arrive(t, f, vad, "1.0")
	p.stop()
	f.stop()
	crash := crasher(t, f, engine)
	for range 3 {
		f = start(t, f.node.dir, engine)
		crash(f)
	}
	f = start(t, f.node.dir, engine)
	refused(t, f, "wait", api.WaitRequest{Model: vad, Timeout: patience}, api.CodeFailed, "quarantined")
	if got := f.model(t, vad); got.Serving {
		t.Errorf("serves in quarantine: %+v", got)
	}
	must[[]api.Model](t, f, "retry", api.RulesRequest{Models: []string{vad}})
	arrive(t, f, vad, "1.0")
	if got := f.model(t, vad); !got.Serving || got.State != api.StateCurrent {
		t.Errorf("after the retry %+v", got)
	}
}
