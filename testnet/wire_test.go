package testnet_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/testnet"
)

// newLink puts a link in front of a running node.
func newLink(t testing.TB, n *testnet.Node, bytesPerSecond int64) *testnet.Link {
	t.Helper()
	l, err := testnet.NewLink(t.Context(), address(t, n), bytesPerSecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Announcing and updating a release whose chunks are all present costs under
// 6 kB in both directions together, on a connection that stands.
func TestUpdateWithNothingToFetchIsCheap(t *testing.T) {
	const most = 6000
	for _, preset := range []string{"lan", "wan", "narrow", "satellite"} {
		t.Run(preset, func(t *testing.T) {
			fleet, dir := newFleet(t)
			publisher, root := startPublisher(t, fleet, dir, "--preset", preset)
			first, second := filepath.Join(dir, "first.bin"), filepath.Join(dir, "second.bin")
			randomFile(t, first, 1<<20)
			data, err := os.ReadFile(first)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(second, data, 0o600); err != nil {
				t.Fatal(err)
			}
			must(t, publisher, "publish", first, "--model", "acme/m", "--version", "1")

			m := newLink(t, publisher, 0)
			a, err := fleet.Add(t.Context(), "a", "--preset", preset, "--no-runtime", "--bootstrap", m.Address())
			if err != nil {
				t.Fatal(err)
			}
			must(t, a, "trust", "add", root)
			must(t, a, "follow", "acme/m")
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			must(t, a, "wait", "acme/m@1", "--timeout", "1m")

			before := m.Bytes()
			if before < 1<<20 {
				t.Fatalf("the link saw %d bytes of a 1 MiB release: it is not in between", before)
			}
			must(t, publisher, "publish", second, "--model", "acme/m", "--version", "2")
			must(t, a, "wait", "acme/m@2", "--timeout", "3m")
			if path := must(t, a, "path", "acme/m"); !strings.HasSuffix(strings.TrimSpace(path), "second.bin") {
				t.Errorf("path is %s after the update", path)
			}
			cost := m.Bytes() - before
			t.Logf("%s: update cost %d bytes on the wire", preset, cost)
			if cost > most {
				t.Errorf("%d bytes, want at most %d", cost, most)
			}
		})
	}
}
