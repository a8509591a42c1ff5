package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// A publisher whose machine is gone goes on with a backup of its keys on
// another one: not before that has met somebody who knows what was signed
// last, and then with the next sequence, although the backup is older.
func TestPublisherMovesToAnotherNode(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	publish(t, p, vad, "1.0", "vad.bin", random(1, 10_000))
	backup := filepath.Join(t.TempDir(), "acme")
	copyKeys(t, filepath.Join(p.node.dir, publisherName, "acme"), backup)
	f := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	publish(t, p, vad, "2.0", "vad.bin", random(2, 10_000))
	arrive(t, f, vad, "2.0")
	p.stop()

	restore := func(change func(*Config)) *bystander {
		home := newHome(t, change)
		copyKeys(t, backup, filepath.Join(home, publisherName, "acme"))
		return start(t, home, nil)
	}
	next := api.PublishRequest{Path: fileOf(t, "vad.bin", random(3, 10_000)), Model: vad, Version: "3.0"}
	alone := restore(nil)
	refused(t, alone, "publish", next, api.CodeUnreachable, "connect this node to one that has pinned acme")
	address := f.address(t)
	met := restore(func(c *Config) { c.Bootstrap = []string{address} })
	must[api.Publisher](t, met, "trust", api.TrustRequest{Root: root})
	must[api.Model](t, f, "wait", api.WaitRequest{Model: vad, Version: "2.0", Timeout: patience})
	until(t, met, "connected", func() bool { return must[api.Status](t, met, "status", nil).Peers > 0 })
	if got := must[api.PublishResult](t, met, "publish", next); got.Sequence != 3 {
		t.Errorf("sequence %d, want 3", got.Sequence)
	}
	arrive(t, f, vad, "3.0")
	if evidence, err := f.node.trust.Evidence(); err != nil || len(evidence) > 0 {
		t.Errorf("%d pieces of evidence against the publisher (%v)", len(evidence), err)
	}
}

// copyKeys copies a folder of keys, for its owner only.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chmod(filepath.Join(to, e.Name()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
