package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

// published makes a node with two releases, and takes it back to where a crash
// right before Registry.Apply of the second leaves it.
func published(t *testing.T) (dir string, root, second []byte) {
	t.Helper()
	p, root := publisher(t)
	publish(t, p, vad, "1.0", "vad.bin", random(1, 100_000))
	before := filepath.Join(t.TempDir(), trustName)
	if err := os.CopyFS(before, os.DirFS(filepath.Join(p.node.dir, trustName))); err != nil {
		t.Fatal(err)
	}
	second = random(2, 100_000)
	r := publish(t, p, vad, "2.0", "vad.bin", second)
	if err := p.node.store.Unpin(r.Manifest, store.PinPublished); err != nil {
		t.Fatal(err)
	}
	p.stop()
	now := filepath.Join(p.node.dir, trustName)
	if err := os.RemoveAll(now); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(now, os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(now, 0o700); err != nil {
		t.Fatal(err)
	}
	return p.node.dir, root, second
}

// What was signed and held when a process ended is announced by the next one,
// and kept.
func TestStartFinishesPublishing(t *testing.T) {
	t.Parallel()
	dir, root, second := published(t)
	p := start(t, dir, nil)
	if got := p.model(t, vad); got.Latest == nil || got.Latest.Version != "2.0" || got.State != api.StateCurrent {
		t.Errorf("publisher says %+v", got)
	}
	if held := releasesOf(t, p); len(held) != 2 || len(held[1].Pins) != 1 || held[1].Pins[0] != store.PinPublished {
		t.Errorf("holds %+v", held)
	}
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	if !bytes.Equal(arrive(t, f, vad, "2.0"), second) {
		t.Error("arrived with other bytes")
	}
}

// What was signed and is not here is kept to itself: nobody could have it. To
// publish it again heals it.
func TestStartKeepsUnheldReleases(t *testing.T) {
	t.Parallel()
	p, _ := publisher(t)
	content := random(1, 1000)
	r := publish(t, p, vad, "1.0", "vad.bin", content)
	later := p.node
	signer, err := later.keys.open("acme")
	if err != nil {
		t.Fatal(err)
	}
	missing, err := manifest.Encode(&manifest.Layout{Schema: manifest.Schema, Format: "missing", Chunk: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []trust.SignRequest{
		{Model: vad, Version: "2.0", Manifest: missing.CID, Size: 100, Now: time.Now()},
		{Model: "acme/new", Version: "1.0", Manifest: missing.CID, Size: 100, Now: time.Now()},
	} {
		if _, err := signer.Sign(req); err != nil {
			t.Fatal(err)
		}
	}
	if err := signer.Close(); err != nil {
		t.Fatal(err)
	}
	p.stop()
	p = start(t, later.dir, nil)
	if got := p.model(t, vad); got.Latest.Manifest != r.Manifest {
		t.Errorf("announces %+v", got.Latest)
	}
	if !p.log.said("what was signed is not announced") {
		t.Error("nobody is told")
	}
	if got := publish(t, p, vad, "3.0", "vad.bin", random(3, 1000)); got.Sequence != 3 {
		t.Errorf("published %+v", got)
	}
}
