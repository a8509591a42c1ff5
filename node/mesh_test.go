package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

const vad = "acme/vad"

// The main job without an engine: a release is published, heard of, fetched,
// checked, kept; the next one replaces it; in the end nobody wants it.
func TestFollow(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	first, second := random(1, 300_000), random(2, 300_000)
	if r := publish(t, p, vad, "1.0", "vad.bin", first); r.Sequence != 1 || r.Bytes != 300_000 || r.Files != 1 {
		t.Errorf("published %+v", r)
	}
	if !bytes.Equal(arrive(t, f, vad, "1.0"), first) {
		t.Error("1.0 arrived with other bytes")
	}
	publish(t, p, vad, "2.0", "vad.bin", second)
	if !bytes.Equal(arrive(t, f, vad, "2.0"), second) {
		t.Error("2.0 arrived with other bytes")
	}
	now := f.model(t, vad)
	if now.State != api.StateCurrent || !now.Latest.Complete || now.Latest.Version != "2.0" || now.HeldBytes != 300_000 {
		t.Errorf("follower says %+v", now)
	}
	if got := p.model(t, vad); got.State != api.StateCurrent || len(got.Role) != 1 || got.Role[0] != "publish" {
		t.Errorf("publisher says %+v", got)
	}
	refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "1.0"}, api.CodeFailed, "acme/vad@1.0 was replaced by 2.0")

	rules := must[api.Rules](t, f, "unfollow", api.RulesRequest{Models: []string{vad}})
	if len(rules.Follow) != 0 {
		t.Errorf("still followed: %v", rules)
	}
	refused(t, f, "wait", api.WaitRequest{Model: vad}, api.CodeUsage, "neither followed nor carried")
	refused(t, f, "unfollow", api.RulesRequest{Models: []string{vad}}, api.CodeUsage, "neither followed nor carried")
	for _, r := range releasesOf(t, f) {
		if len(r.Pins) != 0 {
			t.Errorf("%s is still pinned: %v", r.Release, r.Pins)
		}
	}
	if wants := f.node.store.Wants(); len(wants) != 0 {
		t.Errorf("still wanted: %v", wants)
	}
}

// However many updates come, a follower keeps what is newest and what it could
// go back to, and nothing else takes room.
func TestTwoReleasesAreKept(t *testing.T) {
	t.Parallel()
	for name, role := range map[string]string{"followed": "follow", "carried": "carry"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, root := publisher(t)
			f := neighbour(t, p, root, nil, nil)
			must[api.Rules](t, f, role, api.RulesRequest{Models: []string{vad}})
			for i, version := range []string{"1", "2", "3", "4"} {
				publish(t, p, vad, version, "vad.bin", random(byte(i), 100_000))
				arrive(t, f, vad, version)
			}
			held := releasesOf(t, f)
			if len(held) != 2 || held[0].Version != "3" || held[1].Version != "4" {
				t.Errorf("holds %v", held)
			}
			folders, err := os.ReadDir(filepath.Join(f.node.dir, storeName, "models", "acme", "vad"))
			if err != nil || len(folders) != 2 {
				t.Errorf("on disk: %v, %v", folders, err)
			}
			if wants := f.node.store.Wants(); len(wants) != 0 {
				t.Errorf("still wanted: %v", wants)
			}
		})
	}
}

// A node that only carries passes a release on to one that never meets its
// publisher, golden set included.
func TestCarry(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	golden := t.TempDir()
	expected := filepath.Join(golden, "expected.bin")
	if err := os.WriteFile(expected, random(9, 5_000), 0o600); err != nil {
		t.Fatal(err)
	}
	content := random(1, 200_000)
	must[api.PublishResult](t, p, "publish", api.PublishRequest{
		Path: fileOf(t, "vad.bin", content), Model: vad, Version: "1.0", Golden: golden, Licence: "MIT",
	})
	publish(t, p, "acme/other", "1", "other.bin", random(2, 1000))
	carrier := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, carrier, "carry", api.RulesRequest{Models: []string{"acme/v*"}})
	arrive(t, carrier, vad, "1.0")
	p.stop()

	last := neighbour(t, carrier, root, nil, nil)
	must[api.Rules](t, last, "follow", api.RulesRequest{Models: []string{vad}})
	if !bytes.Equal(arrive(t, last, vad, "1.0"), content) {
		t.Error("arrived with other bytes")
	}
	at, err := last.node.store.Locate(last.model(t, vad).Latest.Manifest, ".golden")
	if err != nil || len(at.Files) != 1 || !at.Files[0].Complete {
		t.Errorf("golden set: %+v, %v", at, err)
	}
	if path := must[api.PathResult](t, last, "path", api.ModelRequest{Model: vad}); path.Variant != defaultVariant {
		t.Errorf("path names the variant %q", path.Variant)
	}
	if got := carrier.model(t, "acme/other"); got.State != api.StateKnown || len(got.Role) != 0 {
		t.Errorf("a model that no rule names: %+v", got)
	}
	check := must[api.VerifyResult](t, last, "verify", api.ModelRequest{})
	if len(check.Checked) != 1 || len(check.Bad) != 0 || check.Bytes != 205_000 {
		t.Errorf("verify: %+v", check)
	}
}

// With an engine the newest release is switched to, the one before stays at
// hand, and a restart brings back what served.
func TestRun(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	engine := &fakeEngine{}
	f := neighbour(t, p, root, engine, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	refused(t, f, "infer", api.InferRequest{Model: vad, Zeros: true}, api.CodeFailed, "`dunlin wait acme/vad`")
	infer := func(b *bystander) (string, byte) {
		t.Helper()
		out := must[api.InferResult](t, b, "infer", api.InferRequest{Model: vad, Zeros: true})
		return out.Version, out.Outputs["y"].Data[0]
	}
	for i, version := range []string{"1.0", "2.0"} {
		publish(t, p, vad, version, "vad.onnx", onnx("good", byte(i+1)))
		arrive(t, f, vad, version)
		if v, y := infer(f); v != version || y != byte(i+1) {
			t.Errorf("answered by %s with %d", v, y)
		}
	}
	// Law 6: a release that does not load disturbs nothing.
	publish(t, p, vad, "3.0", "vad.onnx", onnx("bad", 3))
	refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "3.0"}, api.CodeFailed, "it is bad")
	if v, y := infer(f); v != "2.0" || y != 2 {
		t.Errorf("after a failed update answered by %s with %d", v, y)
	}
	got := f.model(t, vad)
	if got.State != api.StateFailed || got.Active.Version != "2.0" || got.Previous.Version != "1.0" || !got.Serving {
		t.Errorf("after a failed update: %+v", got)
	}
	f.stop()
	f = start(t, f.node.dir, engine)
	if v, y := infer(f); v != "2.0" || y != 2 {
		t.Errorf("after a restart answered by %s with %d", v, y)
	}
	// Somebody mends the machine and asks again: no waiting for a retry.
	refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "3.0"}, api.CodeFailed, "it is bad")
	engine.mu.Lock()
	engine.heal = true
	engine.mu.Unlock()
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	arrive(t, f, vad, "3.0")
	if v, y := infer(f); v != "3.0" || y != 3 {
		t.Errorf("after the repair answered by %s with %d", v, y)
	}
	must[api.Rules](t, f, "unfollow", api.RulesRequest{Models: []string{vad}})
	refused(t, f, "infer", api.InferRequest{Model: vad, Zeros: true}, api.CodeFailed, "`dunlin follow acme/vad` first")
	if got := f.model(t, vad); got.Active != nil || got.Serving {
		t.Errorf("still active after unfollow: %+v", got)
	}
}

// The signature of an active model is what the session says.
func TestSignature(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, &fakeEngine{}, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	publish(t, p, vad, "1.0", "vad.onnx", onnx("good", 7))
	arrive(t, f, vad, "1.0")
	info := must[modelrt.ActiveInfo](t, f, "signature", api.ModelRequest{Model: vad})
	if info.Version != "1.0" || len(info.Signature.Inputs) != 1 || info.Signature.Inputs[0].Name != "x" {
		t.Errorf("signature: %+v", info)
	}
	refused(t, p, "signature", api.ModelRequest{Model: vad}, api.CodeFailed, "cannot run models")
}
