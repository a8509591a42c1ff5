package testnet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// importing runs `dunlin bundle import` and returns what it says.
func importing(t testing.TB, n *testnet.Node, path string) api.ImportedRelease {
	t.Helper()
	var r api.BundleImported
	if err := n.JSON(t.Context(), &r, "bundle", "import", path); err != nil {
		t.Fatal(err)
	}
	if len(r.Releases) != 1 {
		t.Fatalf("imported %+v", r)
	}
	return r.Releases[0]
}

// A node that is killed (kill -9) in the middle of an import goes on where it was
// when the same bundle is imported again: what was stored is gone over.
func TestKillDuringImport(t *testing.T) {
	const size = 96 << 20
	fleet, dir := newFleet(t)
	path, car := filepath.Join(dir, "model.bin"), filepath.Join(dir, "model.car")
	randomFile(t, path, size)
	publisher, root := startPublisher(t, fleet, dir, "--no-runtime")
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1", "--in-place")
	must(t, publisher, "bundle", "export", "acme/m", "--out", car)
	stop(t, publisher)
	n := start(t, fleet, "n", "--no-runtime")
	must(t, n, "trust", "add", root)
	must(t, n, "follow", "acme/m")
	for round, want := range []uint64{size / 4, size / 2} {
		cut := make(chan error, 1)
		go func() {
			_, err := n.Run(t.Context(), "bundle", "import", car)
			cut <- err
		}()
		if err := n.Until(t.Context(), "some of it is stored", func(s api.Status) bool { return model(s).HeldBytes >= want }); err != nil {
			t.Fatal(err)
		}
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := <-cut; err == nil {
			t.Logf("round %d: the import was faster than the kill", round)
		}
		startAgain(t, n)
	}
	r := importing(t, n, car)
	if r.State != api.ImportDone || r.HeldChunks == 0 || r.Bytes > size/2 {
		t.Errorf("the last import says %+v", r)
	}
	must(t, n, "wait", "acme/m@1", "--timeout", "1m")
	must(t, n, "fsck")
	same(t, path, files(t, n)[0].Path)
}

// Making and reading a bundle of 1 GiB takes under 64 MiB of memory, in a node
// that does not run and in one that does.
func TestGibibyteBundleInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: 1 GiB takes a while")
	}
	const most = 64 << 20
	fleet, dir := newFleet(t)
	path, car := filepath.Join(dir, "model.bin"), filepath.Join(dir, "model.car")
	randomFile(t, path, gibibyte)
	publisher, root := startPublisher(t, fleet, dir, "--no-runtime")
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1", "--in-place")
	stop(t, publisher)
	n := start(t, fleet, "n", "--no-runtime")
	must(t, n, "trust", "add", root)
	must(t, n, "follow", "acme/m")
	stop(t, n)
	for _, step := range []struct {
		node *testnet.Node
		args []string
	}{
		{publisher, []string{"bundle", "export", "acme/m", "--out", car}},
		{n, []string{"bundle", "import", car}},
	} {
		begun := time.Now()
		peak := peakOf(t, step.node, step.args...)
		t.Logf("dunlin %v: peak %.1f MiB, %.1f s", step.args[:2], float64(peak)/(1<<20), time.Since(begun).Seconds())
		if peak > most {
			t.Errorf("dunlin %v took %d bytes of memory, want at most %d", step.args[:2], peak, most)
		}
	}
	// Again into a node that runs and has nothing, from the rule on.
	m := start(t, fleet, "m", "--no-runtime")
	must(t, m, "trust", "add", root)
	must(t, m, "bundle", "import", car, "--carry")
	must(t, m, "wait", "acme/m@1", "--timeout", "5m")
	peak := memory(t, m)
	t.Logf("running node: peak %.1f MiB", float64(peak)/(1<<20))
	if peak > most {
		t.Errorf("the running node took %d bytes", peak)
	}
}

// peakOf runs one command in a node's home and returns the most memory that it
// had, in bytes, as seen every few milliseconds: what rusage says begins with
// the memory of this very test.
func peakOf(t testing.TB, n *testnet.Node, args ...string) (peak int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"--dir", n.Dir}, args...)...)
	var story bytes.Buffer
	cmd.Stderr = &story
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, ok := highWater(cmd.Process.Pid); ok {
			peak = max(peak, now)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("dunlin %v: %v\n%s", args, err, story.String())
			}
			if peak == 0 {
				t.Skip("SKIP: this system does not tell a process's memory")
			}
			return peak
		case <-tick.C:
		}
	}
}

// highWater returns the most memory that a running process has had so far; false
// if that is not told, or it has ended.
func highWater(pid int) (int64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// A site that no network reaches gets an update by stick, made for the state that
// it wrote, and serves it to its neighbours.
func TestStick(t *testing.T) {
	fleet, dir := newFleet(t)
	first, second := filepath.Join(dir, "first.npy"), filepath.Join(dir, "second.npy")
	weightsFile(t, first, 300_000, 0)
	weightsFile(t, second, 300_000, 1)
	at := func(name string) string { return filepath.Join(dir, name) }
	publisher, root := startPublisher(t, fleet, dir, "--no-runtime")
	must(t, publisher, "publish", first, "--model", "acme/m", "--version", "1")
	must(t, publisher, "bundle", "export", "acme/m", "--out", at("full.car"))

	ward := start(t, fleet, "ward", "--no-runtime")
	must(t, ward, "trust", "add", root)
	must(t, ward, "follow", "acme/m")
	lab := follower(t, fleet, "lab", ward, root, "follow", "--no-runtime")
	importing(t, ward, at("full.car"))
	must(t, lab, "wait", "acme/m@1", "--timeout", "1m")
	must(t, ward, "bundle", "state", "--out", at("state.json"))

	must(t, publisher, "publish", second, "--model", "acme/m", "--version", "2")
	var exported api.BundleExported
	if err := publisher.JSON(t.Context(), &exported, "bundle", "export", "acme/m", "--for", at("state.json"), "--out", at("update.car")); err != nil {
		t.Fatal(err)
	}
	full, err := os.Stat(second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the update has %d bytes, the file %d", exported.Bytes, full.Size())
	if r := exported.Releases[0]; r.Deltas != 1 || exported.Bytes > uint64(full.Size())/2 {
		t.Errorf("exported %+v", exported)
	}
	stop(t, publisher)
	if r := importing(t, ward, at("update.car")); r.State != api.ImportDone {
		t.Errorf("imported %+v", r)
	}
	for _, n := range []*testnet.Node{ward, lab} {
		must(t, n, "wait", "acme/m@2", "--timeout", "1m")
		var p api.PathResult
		if err := json.Unmarshal([]byte(must(t, n, "--json", "path", "acme/m@2")), &p); err != nil {
			t.Fatal(err)
		}
		same(t, second, p.Files[0].Path)
	}
}
