package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// With the index gone Open says what to do, and Rebuild brings everything back:
// complete releases, good chunks of partial ones, pins, files in place, shared
// files, wants.
func TestRebuild(t *testing.T) {
	c := testConfig(t, t.TempDir())
	s, err := Open(c)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 800_000), "shared": noise(2, 100_000), "empty": {}})
	y := newFixture(t, "acme/tts", "1", 1, map[string][]byte{"m": noise(3, 800_000), "shared": noise(2, 100_000)})
	z := newFixture(t, "acme/big", "1", 1, map[string][]byte{"m": noise(4, 500_000)})
	w := newFixture(t, "acme/wanted", "1", 1, map[string][]byte{"m": noise(5, 10)})
	keep(t, s, x)
	must(t, s.Pin(x.Manifest, PinActive))
	must(t, s.Pin(x.Manifest, PinFollowed))
	begin(t, s, y)
	for _, i := range []int{0, 3} {
		must(t, s.PutChunk(t.Context(), y.file("m").ID(), i, y.chunk("m", i)))
	}
	publish(t, s, z, writeFiles(t, z.data), true)
	must(t, s.SetWant(w.Release))
	must(t, s.Flush(t.Context()))
	before, err := s.Releases()
	must(t, err)
	must(t, s.Close())
	damage(t, filepath.Join(c.Dir, filepath.FromSlash(dirOf(x.Release)), "default", "m"), 200_000)

	must(t, os.RemoveAll(filepath.Join(c.Dir, "index")))
	_, err = Open(c)
	wantErr(t, err, ErrIndex)
	if !strings.Contains(err.Error(), "dunlin fsck --rebuild") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	_, err = Open(c) // looking changed nothing
	wantErr(t, err, ErrIndex)

	report, err := Rebuild(t.Context(), c, FsckOptions{})
	must(t, err)
	if report.Releases != 3 || len(report.Orphans) != 0 || len(report.MissingFiles) != 0 || report.MissingBlocks != 0 {
		t.Errorf("rebuild: %+v", report)
	}
	s = open(t, c)
	if n, want := putMissing(t, s, x), len(x.chunk("m", 1)); n != want {
		t.Errorf("%d bytes of the damaged release were missing, want %d", n, want)
	}
	after, err := s.Releases()
	must(t, err)
	if !slices.EqualFunc(before, after, sameState) {
		t.Errorf("before: %+v\nafter:  %+v", before, after)
	}
	if !sameFile(t, fullPath(t, s, x, "shared"), fullPath(t, s, y, "shared")) || !complete(t, s, x) || !complete(t, s, z) {
		t.Error("something is not as it was")
	}
	if ids, err := s.index.ids([]byte{keyCopy}); err != nil || len(ids) != 5 {
		t.Errorf("%d copies, want 5: a shared file became two: %v", len(ids), err)
	}
	if got := s.Wants(); !slices.Equal(got, []Release{w.Release}) {
		t.Errorf("wants %v", got)
	}
	fsckClean(t, s)
}

func sameState(a, b ReleaseState) bool {
	return a.Release == b.Release && slices.Equal(a.Pins, b.Pins) && slices.Equal(a.Variants, b.Variants)
}

// Damage anywhere in the index either does no harm or is said to need a
// rebuild; it never takes the process down.
func TestDamagedIndexIsNoticed(t *testing.T) {
	if dir := os.Getenv("DUNLIN_STORE_DAMAGED_DIR"); dir != "" {
		s, err := Open(testConfig(t, dir))
		if errors.Is(err, ErrIndex) {
			return
		}
		must(t, err)
		must(t, s.Close())
		return
	}
	c := testConfig(t, t.TempDir())
	s, err := Open(c)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 300_000)})
	keep(t, s, x)
	killed := t.TempDir() // as a crash leaves it
	must(t, os.CopyFS(killed, os.DirFS(c.Dir)))
	must(t, s.Close())
	for _, from := range []string{c.Dir, killed} {
		testDamage(t, from, x)
	}
}

func testDamage(t *testing.T, from string, x *fixture) {
	entries, err := os.ReadDir(filepath.Join(from, "index"))
	must(t, err)
	for i, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(from)))
			name := filepath.Join(dir, "index", e.Name())
			data, err := os.ReadFile(name)
			must(t, err)
			if i%2 == 0 || len(data) == 0 {
				data = []byte("rubbish, and little of it")
			} else {
				data[len(data)/2] ^= 0xff
			}
			must(t, os.WriteFile(name, data, 0o644))
			runTest(t, "TestDamagedIndexIsNoticed", "DUNLIN_STORE_DAMAGED_DIR="+dir)
			if _, err := Rebuild(t.Context(), testConfig(t, dir), FsckOptions{}); err != nil {
				t.Fatal(err)
			}
			s := open(t, testConfig(t, dir))
			if !complete(t, s, x) {
				t.Error("not complete after the rebuild")
			}
			fsckClean(t, s)
		})
	}
}

// With blocks gone too a rebuild cannot know what the files are. They stay, GC
// leaves them alone, and once the blocks came back nothing is fetched again.
func TestRebuildWithoutBlocks(t *testing.T) {
	for name, lose := range map[string]func(x *fixture) []manifest.CID{
		"manifest": func(x *fixture) []manifest.CID { return []manifest.CID{x.Manifest} },
		"layout":   func(x *fixture) []manifest.CID { return []manifest.CID{x.file("m").Layout} },
		"all": func(x *fixture) (out []manifest.CID) {
			for _, b := range x.blocks {
				out = append(out, b.CID)
			}
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t, t.TempDir())
			c.Grace = 1 // a nanosecond
			s, err := Open(c)
			must(t, err)
			x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 500_000), "n": noise(2, 10)})
			keep(t, s, x)
			must(t, s.Pin(x.Manifest, PinFollowed))
			must(t, s.Close())
			for _, b := range lose(x) {
				must(t, ignore(os.Remove(filepath.Join(c.Dir, filepath.FromSlash(blockName(b)))), os.ErrNotExist))
			}
			report, err := Rebuild(t.Context(), c, FsckOptions{})
			must(t, err)
			if report.Releases != 1 || report.MissingBlocks == 0 || len(report.Orphans) != 0 {
				t.Errorf("rebuild: %+v", report)
			}
			s = open(t, c)
			_, err = s.GC(t.Context())
			must(t, err)
			begin(t, s, x)
			if n := putMissing(t, s, x); n != 0 {
				t.Errorf("%d bytes were missing", n)
			}
			if !complete(t, s, x) {
				t.Error("not complete")
			}
			fsckClean(t, s)
		})
	}
}

// A crash may leave a log that Badger made and had not given a length yet.
func TestEmptyLogsOfTheIndex(t *testing.T) {
	c := testConfig(t, t.TempDir())
	s, err := Open(c)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 300_000)})
	keep(t, s, x)
	must(t, s.Close())
	for _, name := range []string{"00007.mem", "000009.vlog"} {
		must(t, os.WriteFile(filepath.Join(c.Dir, "index", name), nil, 0o644))
	}
	s = open(t, c)
	if !complete(t, s, x) {
		t.Error("not complete")
	}
}

// A rebuild that was broken off leaves a store that asks for another.
func TestRebuildBrokenOff(t *testing.T) {
	c := testConfig(t, t.TempDir())
	s, err := Open(c)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 300_000)})
	keep(t, s, x)
	must(t, s.index.update(func(e edit) error { return e.set([]byte{keyMeta}, []byte{stateRebuilding}) }))
	must(t, s.Close())
	_, err = Open(c)
	wantErr(t, err, ErrIndex)
	_, err = Rebuild(t.Context(), c, FsckOptions{})
	must(t, err)
	s = open(t, c)
	if !complete(t, s, x) {
		t.Error("not complete after the rebuild")
	}
}

// Planted release files cannot make Rebuild or anything after it touch what
// they name.
func TestRebuildRefusesPlantedRecords(t *testing.T) {
	c := testConfig(t, t.TempDir())
	s, err := Open(c)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 1000)})
	keep(t, s, x)
	good := s.dir.full(dirOf(x.Release))
	must(t, s.Close())
	twin := good + "x"
	must(t, os.CopyFS(twin, os.DirFS(good)))
	must(t, os.MkdirAll(filepath.Join(c.Dir, "models", "acme", "vad", "rubbish"), 0o755))
	must(t, os.WriteFile(filepath.Join(c.Dir, "models", "acme", "vad", "rubbish", ".release"), []byte{0xff}, 0o644))
	report, err := Rebuild(t.Context(), c, FsckOptions{})
	must(t, err)
	if report.Releases != 1 || len(report.BadReleases) != 2 {
		t.Errorf("rebuild: %+v", report)
	}
}
