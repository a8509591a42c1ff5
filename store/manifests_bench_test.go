package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// manyReleases puts releases of one complete file each into the index, without
// the syncs of Begin, which would take minutes.
func manyReleases(tb testing.TB, s *Store, count int) []*fixture {
	tb.Helper()
	out := make([]*fixture, count)
	must(tb, s.index.bulk(func(set func(k, v []byte) error, _ func([]byte) error) error {
		record := func(k []byte, v manifest.Validator) error {
			block, err := manifest.Encode(v)
			if err != nil {
				return err
			}
			return set(k, block.Data)
		}
		for i := range out {
			x := newFixture(tb, manifest.Model(fmt.Sprintf("acme/m%04d", i)), "1", 1, map[string][]byte{"m": noise(uint64(i), 100)})
			out[i] = x
			block := x.blocks[len(x.blocks)-1] // the manifest
			name := s.dir.full(blockName(block.CID))
			must(tb, errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, block.Data, 0o644)))
			rec := &releaseRecord{Schema: recordSchema, Release: x.Release, Dir: dirOf(x.Release), Variants: []variantRecord{{Name: "default"}}}
			s.releases[x.Manifest], s.folders[rec.Dir] = &release{rec: rec}, x.Manifest
			id, cp := s.newCopy(x.file("m"), 1)
			must(tb, errors.Join(
				record(releaseKey(keyRelease, x.Manifest), rec), record(copyKey(keyCopy, id), cp),
				set(nameKey(x.Manifest, "default", "m"), uint64Bytes(id)), set(copyKey(keyHeld, id), heldCount{1, cp.Size}.encode())))
		}
		return nil
	}))
	return out
}

// BenchmarkReleases lists many releases, as a node does at each status, scrape
// and look at what it wants: the first time, when manifests are read and
// decoded, and later ones.
func BenchmarkReleases(b *testing.B) {
	const count = 4096
	s := open(b, testConfig(b, b.TempDir()))
	all := manyReleases(b, s, count)
	list := func(b *testing.B) {
		releases, err := s.Releases()
		must(b, err)
		if len(releases) != count || releases[0].Manifest != all[0].Manifest {
			b.Fatalf("%d releases", len(releases))
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			for _, x := range all {
				s.manifests.drop(x.Manifest)
			}
			b.StartTimer()
			list(b)
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			list(b)
		}
	})
}
