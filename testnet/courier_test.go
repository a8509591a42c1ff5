package testnet_test

import (
	le "encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// weightsFile writes a NumPy file of n weights; every step moves all of them a
// little, as training does.
func weightsFile(t testing.TB, path string, n, steps int) {
	t.Helper()
	head := "{'descr': '<f4', 'fortran_order': False, 'shape': (" + strconv.Itoa(n) + ",), }"
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), le.LittleEndian.AppendUint16(nil, uint16(len(head)))...)
	out = append(out, head...)
	random, training := rand.New(rand.NewPCG(1, 0)), rand.New(rand.NewPCG(1, 1))
	for range n {
		w := random.NormFloat64() / 16
		for range steps {
			w *= 1 + 1e-6*training.NormFloat64()
		}
		out = le.LittleEndian.AppendUint32(out, math.Float32bits(float32(w)))
	}
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// meets makes a node that does not run dial those addresses and no others from
// its next start on.
func meets(t testing.TB, n *testnet.Node, addresses ...string) {
	t.Helper()
	path := filepath.Join(n.Dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["bootstrap"] = addresses
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// stop ends nodes as an operator would.
func stop(t testing.TB, nodes ...*testnet.Node) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func startAgain(t testing.TB, n *testnet.Node) {
	t.Helper()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// knows says whether a running node is or was connected to the other one.
func knows(t testing.TB, n *testnet.Node, id string) bool {
	t.Helper()
	var peers []api.Peer
	if err := n.JSON(t.Context(), &peers, "peers"); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		if p.ID == id && (p.Connected || !p.LastSeen.IsZero()) {
			return true
		}
	}
	return false
}

// A vehicle meets the publisher, then the clinic, and so on, but never both. The
// clinic gets the first release and then, as a delta, the next one; both are
// signed by somebody whom it never was connected to.
func TestCourier(t *testing.T) {
	fleet, dir := newFleet(t)
	first, second := filepath.Join(dir, "first.npy"), filepath.Join(dir, "second.npy")
	weightsFile(t, first, 300_000, 0)
	weightsFile(t, second, 300_000, 1)
	label := func(site string) []string { return []string{"--preset", "narrow", "--no-runtime", "--site", site} }
	publisher, root := startPublisher(t, fleet, dir, label("office")...)
	must(t, publisher, "publish", first, "--model", "acme/m", "--version", "1")
	clinic := start(t, fleet, "clinic", label("clinic")...)
	courier := start(t, fleet, "courier", label("pickup")...)
	for _, n := range []*testnet.Node{clinic, courier} {
		must(t, n, "trust", "add", root)
	}
	must(t, clinic, "follow", "acme/m")
	must(t, courier, "carry", "acme/*", "--quota", "10MB", "--expires", "30d")
	stop(t, clinic, courier)

	visit := func(host *testnet.Node, then func()) {
		t.Helper()
		meets(t, courier, address(t, host))
		startAgain(t, courier)
		then()
		stop(t, courier, host)
	}
	clinicID := strings.TrimSpace(idOf(t, clinic))
	publisherID := idOf(t, publisher)

	visit(publisher, func() { must(t, courier, "wait", "acme/m@1", "--timeout", "2m") })
	startAgain(t, clinic)
	visit(clinic, func() { must(t, clinic, "wait", "acme/m@1", "--timeout", "2m") })

	startAgain(t, publisher)
	must(t, publisher, "publish", second, "--model", "acme/m", "--version", "2")
	visit(publisher, func() {
		must(t, courier, "wait", "acme/m@2", "--timeout", "2m")
		cameByDelta(t, courier, second)
		if knows(t, publisher, clinicID) {
			t.Error("the publisher was connected to the clinic")
		}
	})
	startAgain(t, clinic)
	visit(clinic, func() {
		must(t, clinic, "wait", "acme/m@2", "--timeout", "2m")
		size := cameByDelta(t, clinic, second)
		t.Logf("the clinic's delta has %d bytes", size)
		if knows(t, clinic, publisherID) {
			t.Error("the clinic was connected to the publisher")
		}
		var r api.VerifyResult
		if err := clinic.JSON(t.Context(), &r, "verify"); err != nil || len(r.Bad) > 0 {
			t.Errorf("verify: %+v, %v", r, err)
		}
	})
}

// idOf returns a node's peer ID, whether it runs or not.
func idOf(t testing.TB, n *testnet.Node) string {
	t.Helper()
	var s api.Status
	if err := n.JSON(t.Context(), &s, "status"); err != nil {
		t.Fatal(err)
	}
	return s.PeerID
}
