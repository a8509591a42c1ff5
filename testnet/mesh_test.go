package testnet_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// A node finds its mesh again after a restart although nobody tells it where.
func TestAddressesAreRemembered(t *testing.T) {
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	a := follower(t, fleet, "a", publisher, root, "carry", "--no-runtime")
	if err := a.Until(t.Context(), "it is connected", func(s api.Status) bool { return s.Peers > 0 }); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(a.Dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	delete(config, "bootstrap")
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Until(t.Context(), "it is connected again", func(s api.Status) bool { return s.Peers > 0 }); err != nil {
		t.Fatal(err)
	}
}

// Nodes on one network find each other over mDNS, without a bootstrap list.
func TestNeighboursFindEachOther(t *testing.T) {
	fleet, dir := newFleet(t)
	mesh := "t" + strings.ToLower(filepath.Base(dir))
	add := func(name string) *testnet.Node {
		n, err := fleet.Add(t.Context(), name, "--mesh", mesh)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(n.Dir, "config.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.Replace(string(text), `"no_mdns": true`, `"no_mdns": false`, 1))
		text = []byte(strings.Replace(string(text), "/ip4/127.0.0.1/", "/ip4/0.0.0.0/", 1))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n
	}
	a, b := add("a"), add("b")
	if strings.Contains(a.LogTail(), "no discovery on the local network") {
		t.Skip("SKIP: this machine has no multicast interface")
	}
	for _, n := range []*testnet.Node{a, b} {
		if err := n.Until(t.Context(), "it has found the other", func(s api.Status) bool { return s.Peers > 0 }); err != nil {
			t.Fatal(err)
		}
	}
}

// A build without cgo carries and serves chunks, and says that it cannot run
// models.
func TestWithoutCgoItCarriesAndServes(t *testing.T) {
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	path := filepath.Join(dir, "model.bin")
	randomFile(t, path, 1<<20)
	must(t, publisher, "publish", path, "--model", "acme/m", "--version", "1")

	plain := filepath.Join(dir, "dunlin-nocgo")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", plain, "../cmd/dunlin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build without cgo: %v\n%s", err, out)
	}
	other, err := testnet.New(plain, filepath.Join(dir, "nocgo"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "nocgo"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	middle := follower(t, other, "middle", publisher, root, "follow")
	must(t, middle, "wait", "acme/m@1", "--timeout", "1m")
	s, err := middle.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Runtime.Reason, "CGO_ENABLED=0") {
		t.Errorf("it says of its runtime: %q", s.Runtime.Reason)
	}
	if _, err := middle.Run(t.Context(), "infer", "acme/m"); err == nil || !strings.Contains(err.Error(), "cannot run models") {
		t.Errorf("infer: %v", err)
	}
	// It serves: the last node knows nobody else, and the publisher is gone.
	if err := publisher.Stop(); err != nil {
		t.Fatal(err)
	}
	last := follower(t, fleet, "last", middle, root, "carry")
	must(t, last, "wait", "acme/m@1", "--timeout", "1m")
	same(t, path, files(t, last)[0].Path)
}
