package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

func releasesOf(t *testing.T, b *bystander) []store.ReleaseState {
	t.Helper()
	releases, err := b.node.store.Releases()
	if err != nil {
		t.Fatal(err)
	}
	return releases
}

// A publisher whose key signs the manifest of one model as another is refused,
// once and for all, and the model's earlier release stays.
func TestManifestOfAnotherModel(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	other := publish(t, p, "acme/other", "1", "other.bin", random(1, 1000))
	signer, err := p.node.keys.open("acme")
	if err != nil {
		t.Fatal(err)
	}
	block, err := p.node.store.Block(other.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(trust.SignRequest{Model: vad, Version: "1.0", Manifest: other.Manifest, Size: uint64(len(block)), Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := p.node.announce(t.Context(), signer, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "1.0", Timeout: patience}, api.CodeUnverified, "manifest is of another model: acme/other")
	if got := f.model(t, vad); got.State != api.StateFailed {
		t.Errorf("state is %s", got.State)
	}
	if err := signer.Close(); err != nil {
		t.Fatal(err)
	}
}

// What its publisher takes back is neither fetched nor waited for; what is here
// stays until something safe replaces it.
func TestRevocation(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	publish(t, p, vad, "1.0", "vad.bin", random(1, 1000))
	publish(t, p, vad, "2.0", "vad.bin", random(2, 1000))
	must[api.PublishResult](t, p, "publish", api.PublishRequest{
		Path: fileOf(t, "vad.bin", random(3, 1000)), Model: vad, Version: "3.0", MinSafeSequence: 3,
	})
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	arrive(t, f, vad, "3.0")
	refused(t, f, "wait", api.WaitRequest{Model: vad, Version: "2.0"}, api.CodeFailed, "taken back by its publisher")
	if held := releasesOf(t, f); len(held) != 1 || held[0].Version != "3.0" {
		t.Errorf("holds %v", held)
	}
	wants, _ := f.node.wanted()
	for _, w := range wants {
		if w.Version != "3.0" {
			t.Errorf("wants %v", w)
		}
	}
}

// The release to go back to is let go of as soon as its publisher takes it back,
// not only with the next update, and nothing goes back to it; what serves stays.
func TestRevokedIsNoWayBack(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	engine := &fakeEngine{}
	f := neighbour(t, p, root, engine, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	for _, version := range []string{"1.0", "2.0"} {
		publish(t, p, vad, version, "vad.onnx", onnx(version, version[0]))
		arrive(t, f, vad, version)
	}
	if held := releasesOf(t, f); len(held) != 2 {
		t.Fatalf("holds %v", held)
	}
	gone := f.log.expect("older release removed")
	must[api.PublishResult](t, p, "publish", api.PublishRequest{ // the same bytes, said anew
		Path: fileOf(t, "vad.onnx", onnx("2.0", '2')), Model: vad, Version: "2.0", MinSafeSequence: 2,
	})
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("1.0 stays")
	}
	if held := releasesOf(t, f); len(held) != 1 || held[0].Version != "2.0" {
		t.Errorf("holds %v", held)
	}
	if now := f.model(t, vad); !now.Serving || now.Active.Version != "2.0" || now.Previous != nil {
		t.Errorf("says %+v", now)
	}
	want := want{Release: releasesOf(t, f)[0].Release}
	if back, err := f.node.previous(want.Release); err != nil || back.Defined() {
		t.Errorf("would go back to %s, %v", back, err)
	}
}

// A revoked release that has rotted is not fetched again.
func TestRevokedIsNotRepaired(t *testing.T) {
	t.Parallel()
	p, _ := publisher(t)
	r := publish(t, p, vad, "1.0", "vad.bin", random(1, 1000))
	must[api.PublishResult](t, p, "publish", api.PublishRequest{
		Path: fileOf(t, "vad.bin", random(2, 1000)), Model: vad, Version: "2.0", MinSafeSequence: 2,
	})
	rot(t, p, vad, "1.0")
	checked := must[api.VerifyResult](t, p, "verify", api.ModelRequest{Model: vad, Version: "1.0"})
	if len(checked.Bad) != 1 {
		t.Errorf("verify does not see the rot: %+v", checked)
	}
	wants, _ := p.node.wanted()
	if _, ok := wants[r.Manifest]; ok {
		t.Error("a revoked release is wanted for repair")
	}
}

// rot flips a byte of the release's first file on disk.
func rot(t *testing.T, b *bystander, m manifest.Model, version string) {
	t.Helper()
	path := must[api.PathResult](t, b, "path", api.ModelRequest{Model: m, Version: version}).Files[0].Path
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
}

// A byte that rots is found by fsck, said, and brought back from a peer.
func TestRepair(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	content := random(1, 300_000)
	publish(t, p, vad, "1.0", "vad.bin", content)
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "carry", api.RulesRequest{Models: []string{"acme/*"}})
	arrive(t, f, vad, "1.0")
	again := f.log.expect("release is here")
	rot(t, f, vad, "1.0")
	report := must[api.FsckResult](t, f, "fsck", struct{}{})
	if report.Clean || report.Rotten != 1 || len(report.Problems) != 1 {
		t.Errorf("fsck: %+v", report)
	}
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("not repaired")
	}
	if !bytes.Equal(arrive(t, f, vad, "1.0"), content) {
		t.Error("repaired with other bytes")
	}
	if report := must[api.FsckResult](t, f, "fsck", struct{}{}); !report.Clean {
		t.Errorf("fsck after the repair: %+v", report)
	}
}

// A quota that is too small stops a release before a byte of it is fetched, and
// says how much is missing; with room it goes on by itself.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, nil, func(c *Config) { c.QuotaBytes = 100_000 })
	failed := f.log.expect("release could not be had")
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	publish(t, p, vad, "1.0", "vad.bin", random(1, 300_000))
	<-failed
	got := f.model(t, vad)
	if got.State != api.StateFailed || !strings.Contains(got.Reason, "no room") {
		t.Errorf("says %+v", got)
	}
	refused(t, f, "wait", api.WaitRequest{Model: vad, Timeout: time.Nanosecond}, api.CodeUnreachable, "no room")
	publish(t, p, vad, "2.0", "vad.bin", random(2, 30_000))
	arrive(t, f, vad, "2.0")
	if wants := f.node.store.Wants(); len(wants) != 0 {
		t.Errorf("what was replaced is still wanted: %v", wants)
	}
}

// What was followed stays whole and served to peers over restarts without being
// read again, and a node without a network answers what it can.
func TestRestart(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	content := random(1, 10_000)
	publish(t, p, vad, "1.0", "vad.bin", content)
	arrive(t, f, vad, "1.0")
	p.stop()
	f.stop()

	f = start(t, f.node.dir, nil)
	if !bytes.Equal(arrive(t, f, vad, "1.0"), content) { // nobody is there to fetch from
		t.Error("after a restart other bytes")
	}
	if f.log.said("release is here") {
		t.Error("what was verified and pinned was obtained again at the start")
	}
	peers := must[[]api.Peer](t, f, "peers", nil)
	if len(peers) != 1 || peers[0].Connected || peers[0].ID != p.node.ID().String() || peers[0].LastSeen.IsZero() {
		t.Errorf("remembers %+v", peers)
	}
	f.stop()

	n, err := Open(Options{Dir: f.node.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	offline := &bystander{Client: api.Local(n.Handler()), node: n}
	if s := must[api.Status](t, offline, "status", nil); s.Running || len(s.Models) != 1 || s.Models[0].State != api.StateCurrent {
		t.Errorf("offline: %+v", s)
	}
	refused(t, offline, "wait", api.WaitRequest{Model: vad}, api.CodeUnreachable, "not running")
	if _, err := Open(Options{Dir: f.node.dir}); codeOf(err) != api.CodeUnreachable {
		t.Errorf("a second process in one home: %v", err)
	}
}

// A publisher's node signs and tells at the same time: whoever asks for status
// never stands in the way of a release.
func TestStatusDuringPublish(t *testing.T) {
	t.Parallel()
	p, _ := publisher(t)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			var s api.Status
			if err := p.Call(t.Context(), "status", nil, &s, nil); err != nil || !s.Publishers[0].Own {
				asked <- fmt.Errorf("status: %+v, %w", s.Publishers, err)
				return
			}
		}
		asked <- nil
	}()
	for i := range 5 {
		publish(t, p, vad, fmt.Sprint(i), "vad.bin", random(byte(i), 1000))
	}
	cancel()
	if err := <-asked; err != nil {
		t.Error(err)
	}
}
