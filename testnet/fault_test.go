package testnet_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// A node that is killed (kill -9) at 100 random moments of fetches finds a clean
// store each time and fetches at most its last batch again.
func TestKilledFetchGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: 100 restarts take minutes")
	}
	const (
		kills     = 100
		fileBytes = 384 << 20
		batch     = 1 << 20
		window    = 8 << 20 // what may be on its way to a process that dies
	)
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	path := filepath.Join(dir, "model.bin")
	randomFile(t, path, fileBytes)
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1", "--in-place")

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var inFetch, victims int
	var lost uint64
	for killed := 0; killed < kills; victims++ {
		victim, err := fleet.Add(t.Context(), fmt.Sprint("v", victims), "--preset", "lan", "--bootstrap", address(t, publisher), "--no-runtime")
		if err != nil {
			t.Fatal(err)
		}
		must(t, victim, "trust", "add", root)
		must(t, victim, "carry", "acme/m")
		var held uint64
		for ; killed < kills; killed++ {
			if err := victim.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := atKill(t, victim, time.Duration(random.Int64N(int64(60*time.Millisecond))))
			if err := victim.Kill(); err != nil {
				t.Fatal(err)
			}
			must(t, victim, "fsck") // exit code 0 only if clean
			var s api.Status
			if err := victim.JSON(t.Context(), &s, "status"); err != nil {
				t.Fatal(err)
			}
			held = model(s).HeldBytes
			if before > held {
				lost += before - held
				if before-held > batch {
					t.Errorf("kill %d: %d bytes were stored, %d are there after the crash: more than a batch is lost", killed, before, held)
				}
			}
			if held > 0 && held < fileBytes {
				inFetch++
			}
			if held == fileBytes {
				killed++
				break
			}
		}
		if err := victim.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		must(t, victim, "wait", "acme/m@1", "--timeout", "2m")
		must(t, victim, "verify")
		same(t, path, files(t, victim)[0].Path)
		if err := victim.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(victim.Dir); err != nil {
			t.Fatal(err)
		}
	}
	s, err := publisher.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := s.Network.TransferOut - int64(victims)*fileBytes
	t.Logf("%d kills, %d of them with part of the file there, %d fetches; %d bytes sent again, %d reported as stored and lost", kills, inFetch, victims, again, lost)
	if inFetch < kills/2 {
		t.Errorf("only %d of %d kills came in the middle of a fetch", inFetch, kills)
	}
	if again > kills*(batch+window) {
		t.Errorf("%d bytes were sent again, more than a batch and what was on its way at each kill", again)
	}
}

// atKill waits until the fetch moves, then a random time more, and returns what
// the node says it holds then.
func atKill(t *testing.T, n *testnet.Node, extra time.Duration) uint64 {
	t.Helper()
	first := uint64(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := n.Until(ctx, "the fetch moves", func(s api.Status) bool {
		m := model(s)
		if first == 0 {
			first = m.HeldBytes + 1
		}
		return m.HeldBytes >= first || m.State == api.StateCurrent
	})
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(extra) // the random moment
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return min(model(s).HeldBytes, model(s).TotalBytes)
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Fatalf("%s and %s differ", a, b)
	}
}

// A byte that flips on disk is found, not served, and repaired from a peer.
func TestFlippedByteIsRepaired(t *testing.T) {
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	path := filepath.Join(dir, "model.bin")
	randomFile(t, path, 3<<20)
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1")
	a := follower(t, fleet, "a", publisher, root, "carry")
	must(t, a, "wait", "acme/m@1", "--timeout", "1m")

	rotten := files(t, a)[0].Path
	flip(t, rotten, 2<<20)
	if out, err := a.Run(t.Context(), "fsck"); err == nil || !strings.Contains(string(out), "1 chunks are rotten") {
		t.Errorf("fsck on a flipped byte: %v, %s", err, out)
	}
	if err := a.Until(t.Context(), "it is repaired", whole); err != nil {
		t.Fatal(err)
	}
	must(t, a, "wait", "acme/m@1", "--timeout", "1m")
	same(t, path, rotten)

	// The publisher's own copy rots: the node that asks it for that chunk does
	// not get it; the publisher is repaired by a, and only then serves it.
	flip(t, files(t, publisher)[0].Path, 1<<20)
	b := follower(t, fleet, "b", publisher, root, "carry")
	must(t, b, "wait", "acme/m@1", "--timeout", "1m")
	same(t, path, files(t, b)[0].Path)
	same(t, path, files(t, publisher)[0].Path)
	must(t, publisher, "fsck")
}

func whole(s api.Status) bool {
	m := model(s)
	return m.TotalBytes > 0 && m.HeldBytes == m.TotalBytes && m.Latest != nil && m.Latest.Complete
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// A full disk stops the fetch with a clear message; it goes on when there is
// room, without being told.
func TestFullDiskStopsAndGoesOn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: mounting a small file system needs root")
	}
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	path := filepath.Join(dir, "model.bin")
	randomFile(t, path, 24<<20)
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1")

	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("SKIP: cannot mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(small, "ballast")
	randomFile(t, ballast, 20<<20)

	inner, err := testnet.New(binary, small)
	if err != nil {
		t.Fatal(err)
	}
	a, err := inner.Add(t.Context(), "a", "--preset", "lan", "--bootstrap", address(t, publisher), "--no-runtime")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(a.Dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte(`"min_free_bytes": 67108864`), []byte(`"min_free_bytes": 1048576`), 1)
	if err := os.WriteFile(filepath.Join(a.Dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := inner.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, a, "trust", "add", root)
	must(t, a, "carry", "acme/m")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = a.Until(ctx, "it says that the disk is full", func(s api.Status) bool {
		return model(s).State == api.StateFailed && strings.Contains(model(s).Reason, "no room")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	must(t, a, "wait", "acme/m@1", "--timeout", "2m")
	same(t, path, files(t, a)[0].Path)
}

// What a node does not trust it never fetches: a publisher that is not pinned,
// and another publisher of the same name.
func TestUntrustedIsNeverFetched(t *testing.T) {
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	path := filepath.Join(dir, "model.bin")
	randomFile(t, path, 1<<20)
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1")
	other := start(t, fleet, "other")
	must(t, other, "publisher", "create", "acme")
	must(t, other, "publisher", "export", "acme", "--out", root+".other")

	unpinned := start(t, fleet, "unpinned", "--bootstrap", address(t, publisher))
	must(t, unpinned, "follow", "acme/m")
	deceived := start(t, fleet, "deceived", "--bootstrap", address(t, publisher))
	must(t, deceived, "trust", "add", root+".other")
	must(t, deceived, "follow", "acme/m")
	if _, err := deceived.Run(t.Context(), "trust", "add", root); err == nil {
		t.Error("two publishers of one name were pinned")
	}
	honest := follower(t, fleet, "honest", publisher, root, "carry", "--bootstrap", address(t, unpinned), "--bootstrap", address(t, deceived))
	must(t, honest, "wait", "acme/m@1", "--timeout", "1m")

	for _, n := range []*testnet.Node{unpinned, deceived} {
		s, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Peers == 0 {
			t.Fatalf("%s has no peer: the test shows nothing", n.Name)
		}
		// A few hundred bytes are what honest asks of it, in vain.
		if m := model(s); m.Latest != nil || m.HeldBytes != 0 || s.Network.TransferIn > 4096 {
			t.Errorf("%s fetched what it does not trust: %+v, %d bytes", n.Name, m, s.Network.TransferIn)
		}
	}
}
