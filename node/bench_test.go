package node

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// What it costs to answer for 100 models: a status, a scrape of metrics, and
// one look at what is wanted, as after each outcome.
func BenchmarkAnswers(b *testing.B) {
	dir, c := b.TempDir(), quietConfig()
	if _, err := Init(dir, c); err != nil {
		b.Fatal(err)
	}
	n, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	client := api.Local(n.Handler())
	call := func(name string, req, res any) {
		if err := client.Call(b.Context(), name, req, res, nil); err != nil {
			b.Fatal(err)
		}
	}
	call("publisher/create", api.PublisherRequest{Name: "acme"}, nil)
	path := filepath.Join(b.TempDir(), "m.bin")
	for i := range 100 {
		if err := os.WriteFile(path, random(byte(i), 100_000), 0o600); err != nil {
			b.Fatal(err)
		}
		call("publish", api.PublishRequest{Path: path, Model: manifest.Model(fmt.Sprintf("acme/m%d", i)), Version: "1"}, nil)
	}
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			var s api.Status
			if call("status", nil, &s); len(s.Models) != 100 {
				b.Fatalf("%d models", len(s.Models))
			}
		}
	})
	b.Run("scrape", func(b *testing.B) {
		for b.Loop() {
			if _, err := n.metrics.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			n.wanted()
		}
	})
}
