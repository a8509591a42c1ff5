package testnet_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// binary is the real program, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) {
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "dunlin-bin-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "dunlin")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/dunlin").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// newFleet makes a fleet whose processes end with the test. Its folder has a
// short path, since sockets lie in it.
func newFleet(t testing.TB) (*testnet.Fleet, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dl-") //nolint:usetesting // Unix sockets want short paths
	if err != nil {
		t.Fatal(err)
	}
	f, err := testnet.New(binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return f, dir
}

// startPublisher starts a node with the publisher acme, and returns the file
// with its root.
func startPublisher(t testing.TB, f *testnet.Fleet, dir string, args ...string) (*testnet.Node, string) {
	t.Helper()
	p := start(t, f, "p", args...)
	root := filepath.Join(dir, "acme.root")
	must(t, p, "publisher", "create", "acme")
	must(t, p, "publisher", "export", "acme", "--out", root)
	return p, root
}

// start adds and starts a node.
func start(t testing.TB, f *testnet.Fleet, name string, args ...string) *testnet.Node {
	t.Helper()
	n, err := f.Add(t.Context(), name, append([]string{"--preset", "lan"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// must runs a command that has to succeed.
func must(t testing.TB, n *testnet.Node, args ...string) string {
	t.Helper()
	out, err := n.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// address returns where a running node listens.
func address(t testing.TB, n *testnet.Node) string {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Addresses[0]
}

// follower adds and starts a node that knows one other, believes acme, and
// follows or carries acme/m.
func follower(t testing.TB, f *testnet.Fleet, name string, via *testnet.Node, root, rule string, args ...string) *testnet.Node {
	t.Helper()
	n := start(t, f, name, append([]string{"--bootstrap", address(t, via)}, args...)...)
	must(t, n, "trust", "add", root)
	must(t, n, rule, "acme/m")
	return n
}

// randomFile writes size random bytes.
func randomFile(t testing.TB, path string, size int64) {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(out, rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// model returns what a status says of acme/m.
func model(s api.Status) api.Model {
	for _, m := range s.Models {
		if m.Model == "acme/m" {
			return m
		}
	}
	return api.Model{}
}

// files returns where the files of acme/m lie on a node.
func files(t testing.TB, n *testnet.Node) []api.PathFile {
	t.Helper()
	var r api.PathResult
	if err := n.JSON(t.Context(), &r, "path", "acme/m"); err != nil {
		t.Fatal(err)
	}
	return r.Files
}
