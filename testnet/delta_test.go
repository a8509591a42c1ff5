package testnet_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

const kbit = 1000 / 8 // bytes a second

// chain is publisher, one node that knows only it, and one that knows only that
// one, with links in between: each of them at a site of its own.
type chain struct {
	publisher, near, far *testnet.Node
	first, second        *testnet.Link
}

// newChain makes a chain in which everybody has the version 1 of acme/m; from
// then on its links carry so many bytes a second.
func newChain(t *testing.T, path string, bytesPerSecond int64, preset string) *chain {
	t.Helper()
	fleet, dir := newFleet(t)
	c := &chain{}
	var root string
	c.publisher, root = startPublisher(t, fleet, dir, "--preset", preset, "--site", "office")
	must(t, c.publisher, "publish", path, "--model", "acme/m", "--version", "1")
	add := func(name string, of *testnet.Node) (*testnet.Node, *testnet.Link) {
		l := newLink(t, of, 0)
		n := start(t, fleet, name, "--preset", preset, "--site", name, "--no-runtime", "--bootstrap", l.Address())
		must(t, n, "trust", "add", root)
		must(t, n, "carry", "acme/*")
		must(t, n, "wait", "acme/m@1", "--timeout", "2m")
		return n, l
	}
	c.near, c.first = add("near", c.publisher)
	c.far, c.second = add("far", c.near)
	c.first.SetRate(bytesPerSecond)
	c.second.SetRate(bytesPerSecond)
	return c
}

// cameByDelta checks that a node has version 2 by a delta, and returns its size.
func cameByDelta(t *testing.T, n *testnet.Node, path string) int64 {
	t.Helper()
	var at api.PathResult
	if err := n.JSON(t.Context(), &at, "path", "acme/m@2"); err != nil {
		t.Fatal(err)
	}
	same(t, path, at.Files[0].Path)
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	routes := model(s).Routes
	if len(routes) != 1 || routes[0].By != api.ByDelta || routes[0].Basis != "1" {
		t.Fatalf("%s: came by %+v; its log ends:\n%s", n.Name, routes, n.LogTail())
	}
	return int64(routes[0].DeltaBytes)
}

// Real updates cross two links of 128 kbit/s, one after the other, as deltas:
// what is on the wire is the delta and a few kB.
func TestDeltasCrossAChain(t *testing.T) {
	dir := corpus.Dir(t)
	for _, tt := range []struct{ name, from, to, preset string }{
		{"graph only", "silero-onnx/v5.0/silero_vad.onnx", "silero-onnx/v5.1/silero_vad.onnx", "lan"},
		{"all weights", "silero-onnx/v4.0/silero_vad.onnx", "silero-onnx/v4.0-hotfix/silero_vad.onnx", "narrow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, to := filepath.Join(dir, tt.from), filepath.Join(dir, tt.to)
			c := newChain(t, from, 128*kbit, tt.preset)
			before := [2]int64{c.first.Bytes(), c.second.Bytes()}
			begun := time.Now()
			must(t, c.publisher, "publish", to, "--model", "acme/m", "--version", "2")
			must(t, c.far, "wait", "acme/m@2", "--timeout", "5m")
			took := time.Since(begun)
			size := cameByDelta(t, c.near, to)
			cameByDelta(t, c.far, to)
			first, second := c.first.Bytes()-before[0], c.second.Bytes()-before[1]
			t.Logf("delta of %d bytes; %d and %d on the wires, in %s", size, first, second, took.Round(100*time.Millisecond))
			if most := size + size/50 + 15_000; first > most || second > most {
				t.Errorf("%d and %d bytes on the wires for a delta of %d", first, second, size)
			}
		})
	}
}

// A fine-tuned network crosses a slow link to a node that is killed (kill -9)
// twice: what had come does not come again, and the node after it gets the delta
// from there although it never met the publisher.
func TestDeltaSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: 1.5 MB over two slow links take a minute")
	}
	dir := corpus.Dir(t)
	from, to := filepath.Join(dir, "berserk-3152k/01-2022-02-07/default.nn"), filepath.Join(dir, "berserk-3152k/02-2022-02-09/default.nn")
	const rate = 512 * kbit
	c := newChain(t, from, rate, "wan")
	before := [2]int64{c.first.Bytes(), c.second.Bytes()}
	listenAgain(t, c.near)
	must(t, c.publisher, "publish", to, "--model", "acme/m", "--version", "2")
	for _, bytes := range []int64{400_000, 1_000_000} {
		err := c.near.Until(t.Context(), "some of the delta has come", func(api.Status) bool { return c.first.Bytes()-before[0] > bytes })
		if err != nil {
			t.Fatal(err)
		}
		if err := c.near.Kill(); err != nil {
			t.Fatal(err)
		}
		// What it remembers of the publisher is an address that leads past the link.
		if err := os.Remove(filepath.Join(c.near.Dir, "peers.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := c.near.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	must(t, c.near, "wait", "acme/m@2", "--timeout", "5m")
	must(t, c.far, "wait", "acme/m@2", "--timeout", "5m")
	size := cameByDelta(t, c.near, to)
	cameByDelta(t, c.far, to)
	first, second := c.first.Bytes()-before[0], c.second.Bytes()-before[1]
	t.Logf("delta of %d bytes; %d on the link to the node that was killed, %d on the other", size, first, second)
	if first < size {
		t.Error("the delta did not cross the link")
	}
	// Each time at most two seconds' worth were not synced, and a node that
	// starts greets its peers.
	if lost := first - size; lost > 2*(3*rate+20_000) {
		t.Errorf("%d bytes more than the delta", lost)
	}
	if second > size+size/20+20_000 {
		t.Errorf("%d bytes on the second link", second)
	}
}

// listenAgain makes a running node listen where it does now after its next
// start, too.
func listenAgain(t *testing.T, n *testnet.Node) {
	t.Helper()
	at, _, _ := strings.Cut(address(t, n), "/p2p/")
	path := filepath.Join(n.Dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["listen"] = []string{at}
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
