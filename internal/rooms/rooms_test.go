// Package rooms holds the test that keeps the rooms of the house apart: which
// package may import which, and where cgo, libp2p and Badger may appear. The
// picture is in docs/architecture.md.
package rooms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dunlin-mesh/dunlin"

// mayImport lists, for every package of production code, all the packages of
// this module that it imports. A package that is missing here fails the test:
// decide where it belongs. So does a permission that nobody uses.
var mayImport = map[string][]string{
	"manifest":                {},
	"trust":                   {"manifest", "internal/durable"},
	"chunker":                 {"manifest"},
	"codec":                   {"codec/mix", "manifest"},
	"codec/mix":               {},
	"codec/weights":           {"codec", "codec/mix"},
	"codec/text":              {"codec/mix"},
	"codec/container":         {"codec/container/deflate", "manifest"},
	"codec/container/deflate": {},
	"delta":                   {"chunker", "codec", "codec/container", "codec/mix", "codec/text", "codec/weights", "delta/align", "delta/derive", "delta/sections", "manifest"},
	"delta/align":             {"codec"},
	"delta/derive":            {"codec", "delta/align"},
	"delta/sections":          {"codec"},
	"delta/bench":             {"internal/synth", "internal/program"},
	"internal/synth":          {"chunker"},
	"store":                   {"manifest", "internal/durable"},
	"bundle":                  {"manifest"},
	"gossip":                  {"trust", "manifest", "internal/parley"},
	"links":                   {"internal/durable"},
	"fleet":                   {"manifest", "internal/durable", "internal/parley"},
	"transfer":                {"codec", "manifest", "internal/nearby"},
	"site":                    {"manifest"},
	"runtime":                 {"runtime/limit", "internal/durable", "internal/excerpt", "runtime/watch"},
	"client":                  {"runtime/serve/inferencepb"},
	"runtime/batch":           {"runtime"},
	"runtime/image":           {"runtime"},
	"runtime/limit":           {},
	"runtime/variant":         {"manifest", "runtime", "runtime/profile"},
	"runtime/worker":          {"runtime", "runtime/limit", "internal/excerpt"},
	"runtime/enginetest":      {"runtime"},
	"runtime/health":          {},
	"runtime/profile":         {"runtime", "runtime/limit", "internal/durable", "internal/excerpt", "internal/onnxpb"},
	"runtime/onnx":            {"runtime", "runtime/onnx/ortlib"},
	"runtime/watch":           {},
	"runtime/hook":            {"runtime", "runtime/limit", "internal/durable", "internal/excerpt"},
	"runtime/golden":          {"runtime", "internal/onnxpb", "internal/durable"},
	"node/api":                {"manifest", "runtime", "runtime/variant"},
	"node":                    {"node/api", "links", "bundle", "fleet", "gossip", "trust", "transfer", "site", "store", "chunker", "codec", "delta", "manifest", "runtime", "runtime/golden", "runtime/health", "runtime/hook", "runtime/image", "runtime/serve", "runtime/batch", "runtime/limit", "internal/durable", "internal/nearby", "runtime/profile", "runtime/variant"},
	"cmd/dunlin":              {"node", "node/api", "bundle", "delta", "codec", "chunker", "manifest", "runtime", "runtime/golden", "runtime/limit", "runtime/onnx", "runtime/profile", "store", "runtime/worker", "internal/durable", "runtime/variant"},
	"testnet":                 {"node/api"},
	"testnet/lab":             {},
	"testnet/swarm":           {"testnet", "testnet/lab", "node/api", "manifest", "internal/program"},
	"testnet/servebench":      {"testnet", "client", "node/api", "runtime", "runtime/onnx", "internal/program"},
	"testnet/demo":            {"testnet", "node/api", "runtime", "internal/durable"},
	"internal/durable":        {},
	"internal/excerpt":        {},
	"internal/nearby":         {},
	"internal/parley":         {"manifest"},
	"internal/raced":          {},
	"internal/corpus":         {},
	"internal/onnxpb":         {},
	"internal/setup":          {"runtime/onnx/ortlib", "internal/durable", "internal/program"},
	"internal/program":        {},
	"internal/testcount":      {},
	"runtime/onnx/ortlib":     {},
	"runtime/onnx/onnxtest":   {"runtime", "runtime/enginetest", "runtime/onnx/ortlib", "internal/onnxpb"},

	"runtime/serve":             {"runtime", "runtime/serve/inferencepb", "runtime/serve/wire"},
	"runtime/serve/wire":        {"runtime", "runtime/serve/inferencepb"},
	"runtime/serve/inferencepb": {},
}

// onlyIn lists the packages whose production code alone may import a module.
var onlyIn = map[string][]string{
	"github.com/libp2p/go-libp2p":     {"gossip", "fleet", "transfer", "site", "node", "testnet", "internal/parley"},
	"github.com/dgraph-io/badger":     {"store"},
	"github.com/yalue/onnxruntime_go": {"runtime/onnx"},
	"golang.org/x/image":              {"runtime/image"},
	"github.com/theupdateframework":   {"trust"},
	"github.com/fxamacker/cbor":       {"manifest"},
	"github.com/alecthomas/kong":      {"cmd/dunlin"},
	"github.com/prometheus":           {"node"},
	"C":                               {},
}

type pkg struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,GoFiles,Imports", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestImportsRunOneWay(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		if len(p.GoFiles) == 0 { // only tests
			continue
		}
		seen[room] = true
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("package %s has no place in this test yet", room)
			continue
		}
		for _, inner := range allowed {
			if !slices.Contains(p.Imports, module+"/"+inner) {
				t.Errorf("%s may import %s and does not: take it out here", room, inner)
			}
		}
		for _, imported := range p.Imports {
			if inner, ok := strings.CutPrefix(imported, module+"/"); ok && !slices.Contains(allowed, inner) {
				t.Errorf("%s imports %s, which its room does not allow", room, inner)
			}
			for outer, rooms := range onlyIn {
				if (imported == outer || strings.HasPrefix(imported, outer+"/")) && !slices.Contains(rooms, room) {
					t.Errorf("%s imports %s, which belongs in %v", room, imported, rooms)
				}
			}
		}
	}
	for room := range mayImport {
		if !seen[room] {
			t.Errorf("package %s is named here and does not exist", room)
		}
	}
}
