package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// A manifest is read once; it goes from memory with its release, and when its
// block turns out to be lost or rotten.
func TestManifestsAreCached(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, s *Store, x *fixture){
		"removed": func(t *testing.T, s *Store, x *fixture) { must(t, s.Remove(x.Manifest)) },
		"lost": func(t *testing.T, s *Store, x *fixture) {
			must(t, os.Remove(s.dir.full(filepath.FromSlash(blockName(x.Manifest)))))
			_, err := s.Block(x.Manifest) // a peer asks for it
			wantErr(t, err, ErrNotHeld)
		},
		"rotten": func(t *testing.T, s *Store, x *fixture) {
			damage(t, s.dir.full(blockName(x.Manifest)), 1)
			report, err := s.Fsck(t.Context(), FsckOptions{})
			must(t, err)
			if report.BadBlocks != 1 {
				t.Errorf("fsck: %+v", report)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTemp(t)
			x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 1000)})
			keep(t, s, x)
			var first *manifest.Manifest
			for range 2 {
				releases, err := s.Releases()
				must(t, err)
				if len(releases) != 1 || len(releases[0].Variants) != 1 || !releases[0].Variants[0].Complete {
					t.Fatalf("lists %+v", releases)
				}
				m, _ := s.manifests.get(x.Manifest)
				if m == nil || first != nil && m != first {
					t.Fatalf("not kept: %p, then %p", first, m)
				}
				first = m
			}
			lose(t, s, x)
			if m, _ := s.manifests.get(x.Manifest); m != nil || s.manifests.bytes != 0 {
				t.Error("still kept")
			}
			releases, err := s.Releases()
			must(t, err)
			for _, r := range releases {
				if len(r.Variants) != 0 {
					t.Errorf("lists %+v without its manifest", r)
				}
			}
		})
	}
}

// What is kept stays within its bound, and nothing that was dropped while its
// block was being read.
func TestCachedManifestsAreBounded(t *testing.T) {
	var c manifests
	id := func(i int) manifest.CID { return manifest.SumCID(manifest.DagCBOR, []byte{byte(i), byte(i >> 8)}) }
	m := &manifest.Manifest{}
	for i := range 1000 {
		c.put(id(i), m, 100_000, 0)
		if held, _ := c.get(id(i)); held == nil || c.bytes > maxCachedManifests || c.bytes != 100_000*len(c.entries) {
			t.Fatalf("after %d: %d bytes in %d entries", i, c.bytes, len(c.entries))
		}
	}
	if len(c.entries) != maxCachedManifests/100_000 {
		t.Errorf("%d entries are kept", len(c.entries))
	}
	c.put(id(2000), m, maxCachedManifests+1, 0)
	_, drops := c.get(id(2001))
	c.drop(id(2002))
	c.put(id(2001), m, 1, drops)
	for _, i := range []int{2000, 2001} {
		if held, _ := c.get(id(i)); held != nil {
			t.Errorf("%d is kept", i)
		}
	}
}
