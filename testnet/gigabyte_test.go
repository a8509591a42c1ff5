package testnet_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/testnet"
)

const gibibyte = 1 << 30

// A node that fetches and one that serves a release of 1 GiB stay under 96 MiB
// of memory each, and the release takes at most 1.01 times its size on disk.
func TestGibibyteInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: 1 GiB takes a while")
	}
	const most = 96 << 20
	fleet, dir := newFleet(t)
	path := filepath.Join(dir, "model.bin")
	randomFile(t, path, gibibyte)
	publisher, root := startPublisher(t, fleet, dir, "--no-runtime")
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1", "--in-place")
	// What publishing itself takes does not count: serving does.
	restart(t, publisher)
	a := follower(t, fleet, "a", publisher, root, "follow", "--no-runtime")
	must(t, a, "wait", "acme/m@1", "--timeout", "5m")
	for _, n := range []*testnet.Node{publisher, a} {
		peak := memory(t, n)
		t.Logf("%s: peak %.1f MiB", n.Name, float64(peak)/(1<<20))
		if peak > most {
			t.Errorf("%s took %d bytes of memory, want at most %d", n.Name, peak, most)
		}
	}
	used := disk(t, filepath.Join(a.Dir, "store"))
	t.Logf("a: %d bytes on disk, %.4f of the release", used, float64(used)/gibibyte)
	if float64(used) > 1.01*gibibyte {
		t.Errorf("%d bytes on disk for a release of %d", used, int64(gibibyte))
	}
}

func restart(t testing.TB, n *testnet.Node) {
	t.Helper()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// memory returns the peak resident memory of a running node, in bytes.
func memory(t testing.TB, n *testnet.Node) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		t.Skipf("SKIP: this system does not tell a process's memory: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// disk returns the bytes that are allocated for the files below dir.
func disk(t testing.TB, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// cpu returns the processor time that a running node has used.
func cpu(t testing.TB, n *testnet.Node) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID()))
	if err != nil {
		t.Skipf("SKIP: this system does not tell a process's time: %v", err)
	}
	// Fields 14 and 15, counted behind the name in brackets; in ticks of 10 ms.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
