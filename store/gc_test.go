package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPinsKeep(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 1000)})
	wantErr(t, s.Pin(x.Manifest, PinActive), ErrNotHeld)
	wantErr(t, s.Remove(x.Manifest), ErrNotHeld)
	must(t, s.Unpin(x.Manifest, PinActive))
	keep(t, s, x)
	if err := s.Pin(x.Manifest, "favourite"); err == nil {
		t.Error("an unknown pin was accepted")
	}
	must(t, s.Pin(x.Manifest, PinActive))
	must(t, s.Pin(x.Manifest, PinActive))
	must(t, s.Pin(x.Manifest, PinCarried))
	wantErr(t, s.Remove(x.Manifest), ErrPinned)
	must(t, s.Unpin(x.Manifest, PinActive))
	wantErr(t, s.Remove(x.Manifest), ErrPinned)
	must(t, s.Unpin(x.Manifest, PinCarried))
	must(t, s.SetWant(x.Release))
	wantErr(t, s.Remove(x.Manifest), ErrPinned)
	must(t, s.ClearWant(x.Manifest))
	must(t, s.Remove(x.Manifest))
	if _, err := s.Held(x.file("m").ID()); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Held after Remove: %v", err)
	}
	if _, err := os.Stat(s.dir.full(modelsDir + "/acme")); err == nil {
		t.Error("empty folders are left")
	}
}

// GC takes what nothing keeps, and nothing that was touched within the grace.
func TestGC(t *testing.T) {
	c := testConfig(t, t.TempDir())
	time0 := newClock()
	c.Now = time0.now
	s := open(t, c)
	cache := newFixture(t, "acme/cache", "1", 1, map[string][]byte{"m": noise(1, 300_000)})
	pinned := newFixture(t, "acme/pinned", "1", 1, map[string][]byte{"m": noise(2, 300_000)})
	wanted := newFixture(t, "acme/wanted", "1", 1, map[string][]byte{"m": noise(3, 300_000)})
	heard := newFixture(t, "acme/heard", "1", 1, map[string][]byte{"m": noise(4, 10<<20)}) // blocks only
	loose := newFixture(t, "acme/loose", "1", 1, map[string][]byte{"m": noise(5, 10)})     // blocks only, unwanted
	keep(t, s, cache)
	keep(t, s, pinned)
	must(t, s.Pin(pinned.Manifest, PinFollowed))
	begin(t, s, wanted)
	must(t, s.SetWant(wanted.Release))
	must(t, s.SetWant(heard.Release))
	putBlocks(t, s, heard)
	putBlocks(t, s, loose)
	orphan := s.dir.full("models/acme/cache/left-over/default")
	must(t, os.MkdirAll(orphan, 0o755))
	stray := filepath.Join(filepath.Dir(fullPath(t, s, pinned, "m")), "stray")
	must(t, os.WriteFile(stray, nil, 0o644))

	report, err := s.GC(t.Context())
	must(t, err)
	if len(report.Releases) != 0 || report.Blocks != 0 || report.Orphans != 0 {
		t.Errorf("GC within the grace: %+v", report)
	}
	time0.add(2 * DefaultGrace)
	report, err = s.GC(t.Context())
	must(t, err)
	if len(report.Releases) != 1 || report.Releases[0] != cache.Release || report.Orphans != 2 || report.Bytes < 300_000 {
		t.Errorf("GC: %+v", report)
	}
	for _, x := range []*fixture{cache, loose} {
		if _, err := s.Block(x.Manifest); !errors.Is(err, ErrNotHeld) {
			t.Errorf("block of %s: %v", x, err)
		}
	}
	for _, x := range []*fixture{pinned, wanted, heard} {
		for _, b := range x.blocks {
			if _, err := s.Block(b.CID); err != nil {
				t.Errorf("block of %s: %v", x, err)
			}
		}
	}
	fsckClean(t, s)
}

// A pinned release that the index lost is not taken for garbage.
func TestGCLeavesPinnedFoldersThatTheIndexLost(t *testing.T) {
	c := testConfig(t, t.TempDir())
	time0 := newClock()
	c.Now = time0.now
	s := open(t, c)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 1000)})
	keep(t, s, x)
	must(t, s.Pin(x.Manifest, PinPublished))
	path := fullPath(t, s, x, "m")
	s.mu.Lock() // as if the index had lost it
	delete(s.folders, dirOf(x.Release))
	s.mu.Unlock()
	time0.add(2 * DefaultGrace)
	_, err := s.GC(t.Context())
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// GC while releases come, are read and go.
func TestGCUnderLoad(t *testing.T) {
	c := testConfig(t, t.TempDir())
	c.Grace = 1 // a nanosecond: GC may take whatever is not kept
	s := open(t, c)
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := s.GC(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	var fetchers sync.WaitGroup
	for n := range 3 {
		fetchers.Go(func() {
			for round := range 4 {
				x := newFixture(t, "acme/m", string(rune('a'+n))+string(rune('0'+round)), 1, map[string][]byte{"m": noise(uint64(10*n+round), 200_000)})
				must(t, s.SetWant(x.Release))
				for { // as the fetch loop does: blocks that went are fetched again
					putBlocks(t, s, x)
					err := s.Begin(t.Context(), x.Release, []string{"default"})
					if err == nil {
						break
					}
					wantErr(t, err, ErrNotHeld)
				}
				putMissing(t, s, x)
				must(t, s.Verify(t.Context(), x.Manifest, "default", nil))
				must(t, s.ClearWant(x.Manifest))
			}
		})
	}
	fetchers.Wait()
	close(done)
	group.Wait()
	if report, err := s.Fsck(t.Context(), FsckOptions{}); err != nil || !report.Clean() {
		t.Errorf("fsck: %+v, %v", report, err)
	}
}

// The quota holds; what nothing keeps makes room, least recently used first.
func TestQuota(t *testing.T) {
	c := testConfig(t, t.TempDir())
	time0 := newClock()
	c.Now = time0.now
	c.QuotaBytes = 3<<20 + 200<<10
	s := open(t, c)
	var xs []*fixture
	for i := range 4 {
		xs = append(xs, newFixture(t, "acme/vad", string(rune('1'+i)), uint64(i+1), map[string][]byte{"m": noise(uint64(i), 1<<20)}))
	}
	for _, x := range xs[:3] {
		keep(t, s, x)
		time0.add(time.Minute)
	}
	_, err := s.Chunk(t.Context(), xs[0].file("m").ID(), 0, nil) // the first was used last
	must(t, err)
	must(t, s.Pin(xs[2].Manifest, PinActive))
	begin(t, s, xs[3])
	for i, want := range []bool{true, false, true, true} {
		if _, ok := s.release(xs[i].Manifest); ok != want {
			t.Errorf("release %d is here: %v, want %v", i+1, ok, want)
		}
	}
	must(t, s.Pin(xs[0].Manifest, PinCarried))
	must(t, s.Pin(xs[3].Manifest, PinFollowed))
	putBlocks(t, s, xs[1])
	err = s.Begin(t.Context(), xs[1].Release, []string{"default"})
	wantErr(t, err, ErrFull)
	if !strings.Contains(err.Error(), "1048576 bytes needed") {
		t.Errorf("the error does not say what is needed: %v", err)
	}
	st, err := s.Stage(t.Context(), writeFiles(t, xs[1].data), false)
	must(t, err)
	wantErr(t, s.Adopt(t.Context(), st, xs[1].Release, "default", nil), ErrFull)
	must(t, st.Discard())
	must(t, s.Unpin(xs[0].Manifest, PinCarried))
	must(t, s.Begin(t.Context(), xs[1].Release, []string{"default"}))
	if _, ok := s.release(xs[0].Manifest); ok {
		t.Error("nothing made room")
	}
	usage, err := s.Usage()
	must(t, err)
	if usage.FileBytes+usage.BlockBytes > c.QuotaBytes {
		t.Errorf("usage %+v is over the quota", usage)
	}
	fsckClean(t, s)
}

// A crash between any two steps of a removal is finished at the next Open.
func TestRemovalIsFinishedAtOpen(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(testConfig(t, dir))
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 300_000), "shared": noise(2, 1000)})
	y := newFixture(t, "acme/tts", "1", 1, map[string][]byte{"shared": noise(2, 1000)})
	keep(t, s, x)
	keep(t, s, y)
	rec, _ := s.release(x.Manifest)
	must(t, s.index.update(func(e edit) error { // step 1, and no more
		return errors.Join(e.set(releaseKey(keyRemoved, x.Manifest), []byte(rec.Dir)), e.del(releaseKey(keyRelease, x.Manifest)))
	}))
	if rand.IntN(2) == 0 { // step 2
		must(t, os.Rename(s.dir.full(rec.Dir), s.dir.full(trashDir+"/x")))
	}
	must(t, s.Close())
	s = open(t, testConfig(t, dir))
	if _, err := s.Held(x.file("m").ID()); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Held: %v", err)
	}
	if !complete(t, s, y) {
		t.Error("the other release lost the shared file")
	}
	left := 0
	must(t, s.index.scan(releaseKey(keyName, x.Manifest), false, func(_, _ []byte) error { left++; return nil }))
	if ids, err := s.index.ids([]byte{keyCopy}); err != nil || len(ids) != 1 || left != 0 {
		t.Errorf("left in the index: copies %v, %d names, %v", ids, left, err)
	}
	fsckClean(t, s)
}

// A later sequence may name the same manifest: going back is a new release.
func TestSameManifestUnderALaterSequence(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 1000)})
	keep(t, s, x)
	path := fullPath(t, s, x, "m")
	again := x.Release
	again.Version, again.Sequence = "1-again", 7
	must(t, s.Begin(t.Context(), again, []string{"default"}))
	list, err := s.Releases()
	must(t, err)
	if len(list) != 1 || list[0].Release != again || fullPath(t, s, x, "m") != path {
		t.Errorf("%+v", list)
	}
}
