package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// TestLatenciesAreOfTheReleaseOrOfTheNewestOther and survive a restart; a damaged
// file is forgotten.
func TestLatenciesAreOfTheReleaseOrOfTheNewestOther(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	one, two, three := manifest.SumCID(manifest.Raw, []byte("1")), manifest.SumCID(manifest.Raw, []byte("2")), manifest.SumCID(manifest.Raw, []byte("3"))
	l := openLatencies(dir, log)
	for c, seconds := range map[manifest.CID]float64{one: 1} {
		if err := l.put(latency{Model: "acme/vad", Manifest: c.String(), Variant: "int8", Provider: modelrt.CPU, Seconds: seconds}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.put(latency{Model: "acme/vad", Manifest: two.String(), Variant: "int8", Provider: modelrt.CPU, Seconds: 2}); err != nil {
		t.Fatal(err)
	}
	l = openLatencies(dir, log)
	for c, want := range map[manifest.CID]time.Duration{one: time.Second, two: 2 * time.Second, three: 2 * time.Second} {
		if got, ok := l.of("acme/vad", c, "int8", modelrt.CPU); !ok || got != want {
			t.Errorf("got %s, %v, want %s", got, ok, want)
		}
	}
	if _, ok := l.of("acme/vad", one, "int8", modelrt.OpenVINO); ok {
		t.Error("another provider has the same latency")
	}
	if _, ok := l.of("acme/vad", one, "fp32", modelrt.CPU); ok {
		t.Error("another variant has the same latency")
	}
	if err := os.WriteFile(filepath.Join(CacheDir(dir), latencyName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := openLatencies(dir, log).of("acme/vad", one, "int8", modelrt.CPU); ok {
		t.Error("a damaged file tells a latency")
	}
}

// TestEachFileGoesToTheRunnerOfItsProvider, and what has none to the first.
func TestEachFileGoesToTheRunnerOfItsProvider(t *testing.T) {
	var p placed
	p.set("/a", modelrt.OpenVINO)
	p.set("/b", modelrt.CUDA)
	first, other := noProber{}, &noProber{}
	r := routed{first: Runner{Prober: first}, others: map[modelrt.Provider]Runner{modelrt.OpenVINO: {Prober: other}}, placed: &p}
	if r.runner("/a").Prober != modelrt.Prober(other) || r.runner("/b").Prober != modelrt.Prober(first) || r.runner("/c").Prober != modelrt.Prober(first) {
		t.Error("a file goes to the runner of another provider")
	}
}
