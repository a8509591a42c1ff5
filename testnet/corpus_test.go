package testnet_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// Every real model crosses a real mesh: each family of the corpus becomes a
// model, each of its versions a release, and a node that only carries ends with
// the same bytes. What it holds then is read with the codec that Kubo uses.
func TestEveryModelOfTheCorpusCrosses(t *testing.T) {
	dir := corpus.Dir(t)
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Dir(path) != dir {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	fleet, work := newFleet(t)
	publisher, root := startPublisher(t, fleet, work)
	carrier := start(t, fleet, "carrier", "--bootstrap", address(t, publisher))
	must(t, carrier, "trust", "add", root)
	must(t, carrier, "carry", "acme/*")
	plain := regexp.MustCompile(`[^a-z0-9.-]`)
	for _, path := range paths {
		parts := strings.Split(filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator))), "/")
		model, version := "acme/"+plain.ReplaceAllString(parts[0], "-"), parts[1]
		must(t, publisher, "publish", path, "--model", model, "--version", version)
		must(t, carrier, "wait", model+"@"+version, "--timeout", "1m")
		var at api.PathResult
		if err := carrier.JSON(t.Context(), &at, "path", model+"@"+version); err != nil {
			t.Fatal(err)
		}
		same(t, path, at.Files[0].Path)
	}
	must(t, carrier, "verify")
	must(t, carrier, "fsck")
	if n := dagCBORBlocks(t, carrier); n < 3*10 { // ten families: manifest, layout, digests
		t.Errorf("only %d blocks were read", n)
	}
}

// dagCBORBlocks decodes every block that a node keeps, strictly, encodes it
// again, and returns how many there were.
func dagCBORBlocks(t *testing.T, n *testnet.Node) (count int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(n.Dir, "store", "blocks"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		builder := basicnode.Prototype.Any.NewBuilder()
		if err := dagcbor.Decode(builder, bytes.NewReader(data)); err != nil {
			t.Errorf("%s: %v", d.Name(), err)
			return nil
		}
		var again bytes.Buffer
		if err := dagcbor.Encode(builder.Build(), &again); err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Errorf("%s encodes to other bytes (%v)", d.Name(), err)
		}
		count++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}
