package testnet_test

import (
	le "encoding/binary"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/golden"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// goldenOf writes a golden set of what a model answers, and returns its folder.
func goldenOf(t *testing.T, path string) string {
	t.Helper()
	engine, err := onnx.New(onnx.Config{LibraryPath: onnxtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	session, err := engine.Load(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	cases, err := golden.Random(modelrt.Signature{Inputs: []modelrt.Port{
		{Name: "input", DType: modelrt.F32, Shape: []int64{1, 512}},
		{Name: "state", DType: modelrt.F32, Shape: []int64{2, 1, 128}},
		{Name: "sr", DType: modelrt.I64},
	}}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		le.LittleEndian.PutUint64(c["sr"].Data, 16000)
	}
	dir := filepath.Join(t.TempDir(), "golden")
	if err := golden.Write(t.Context(), session, cases, nil, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A release that answers wrongly reaches ten nodes; two try it, and the word of
// those two holds it back at the other eight. What serves is never touched. An
// operator's word has it tried all the same.
func TestBadReleaseStopsAtTheFirstWave(t *testing.T) {
	good, bad := corpus.File(t, "silero-onnx/v6.0/silero_vad.onnx"), corpus.File(t, "silero-onnx/v5.1/silero_vad.onnx")
	set := goldenOf(t, good)
	t.Setenv("DUNLIN_ONNXRUNTIME", onnxtest.Library(t))
	fleet, dir := newFleet(t)
	publisher, root := startPublisher(t, fleet, dir)
	nodes := make([]*testnet.Node, 10)
	for i := range nodes {
		nodes[i] = follower(t, fleet, "n"+strconv.Itoa(i), publisher, root, "follow")
	}
	must(t, publisher, "publish", good, "--model", "acme/m", "--version", "1", "--golden", set)
	for _, n := range nodes {
		must(t, n, "wait", "acme/m", "--timeout", "3m")
	}

	must(t, publisher, "publish", bad, "--model", "acme/m", "--version", "2", "--golden", set)
	failed := 0
	var held *testnet.Node
	for _, n := range nodes {
		err := n.Until(t.Context(), "the release fails here or is held back", func(s api.Status) bool {
			m := model(s)
			return m.State == api.StateFailed || m.State == api.StateHolding && strings.HasPrefix(m.Reason, "held back")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes { // all have settled now
		s, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m := model(s)
		if m.Active == nil || m.Active.Version != "1" || !m.Serving {
			t.Errorf("node %s serves %+v", n.Name, m.Active)
		}
		if m.State == api.StateFailed {
			failed++
		} else {
			held = n
		}
	}
	if failed != 2 || held == nil {
		t.Fatalf("%d nodes tried the release, want 2", failed)
	}
	must(t, held, "retry", "acme/m")
	err := held.Until(t.Context(), "it is tried by the operator's word", func(s api.Status) bool {
		m := model(s)
		return m.State == api.StateFailed && m.Serving && m.Active.Version == "1"
	})
	if err != nil {
		t.Fatal(err)
	}
}
