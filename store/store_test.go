package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestFetchFromNothing(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1.0", 1, map[string][]byte{
		"model.onnx": noise(1, 1<<20+12345), "sub/tokens.txt": noise(2, 77), "empty": {},
	})
	wantErr(t, s.Begin(t.Context(), x.Release, []string{"default"}), ErrNotHeld)
	putBlocks(t, s, x)
	wantErr(t, s.Begin(t.Context(), x.Release, []string{"int8"}), ErrMismatch)
	id := x.file("model.onnx").ID()
	if _, err := s.Held(id); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Held before Begin: %v", err)
	}
	wantErr(t, s.PutChunk(t.Context(), id, 0, x.chunk("model.onnx", 0)), ErrNotHeld)
	must(t, s.Begin(t.Context(), x.Release, []string{"default"}))
	if complete(t, s, x) {
		t.Error("complete before any chunk")
	}
	wantErr(t, s.PutChunk(t.Context(), id, 0, x.chunk("model.onnx", 1)), ErrMismatch)
	wantErr(t, s.PutChunk(t.Context(), id, 0, x.chunk("model.onnx", 0)[1:]), ErrMismatch)
	wantErr(t, s.PutChunk(t.Context(), id, -1, nil), ErrMismatch)
	wantErr(t, s.PutChunk(t.Context(), id, 1<<30, nil), ErrMismatch)
	if _, err := s.Chunk(t.Context(), id, 0, nil); !errors.Is(err, ErrNotHeld) {
		t.Errorf("a missing chunk: %v", err)
	}
	if n, want := putMissing(t, s, x), 1<<20+12345+77; n != want {
		t.Errorf("put %d bytes, want %d", n, want)
	}
	if !complete(t, s, x) {
		t.Error("not complete after every chunk")
	}
	must(t, s.Verify(t.Context(), x.Manifest, "default", nil))
	got, err := s.Chunk(t.Context(), id, 3, make([]byte, 10))
	must(t, err)
	if !bytes.Equal(got, x.chunk("model.onnx", 3)) {
		t.Error("chunk 3 reads back as something else")
	}
	fsckClean(t, s)
}

func TestEverythingSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	x := newFixture(t, "acme/vad", "1.0", 1, map[string][]byte{"m": noise(1, 700_000)})
	y := newFixture(t, "acme/tts", "9", 4, map[string][]byte{"m": noise(2, 300_000)})
	s, err := Open(testConfig(t, dir))
	must(t, err)
	begin(t, s, x)
	must(t, s.PutChunk(t.Context(), x.file("m").ID(), 2, x.chunk("m", 2)))
	must(t, s.Pin(x.Manifest, PinFollowed))
	must(t, s.SetWant(y.Release))
	must(t, s.Close())
	must(t, s.Close())
	wantErr(t, s.Flush(t.Context()), ErrClosed)

	s = open(t, testConfig(t, dir))
	held, err := s.Held(x.file("m").ID())
	must(t, err)
	if !slices.Equal(held, manifest.NewRanges(2, 3)) {
		t.Errorf("held %v, want 2", held)
	}
	if got := s.Wants(); !slices.Equal(got, []Release{y.Release}) {
		t.Errorf("wants %v", got)
	}
	list, err := s.Releases()
	must(t, err)
	if len(list) != 1 || list[0].Release != x.Release || !slices.Equal(list[0].Pins, []Pin{PinFollowed}) ||
		len(list[0].Variants) != 1 || list[0].Variants[0].Bytes != 700_000 || list[0].Variants[0].HeldBytes != uint64(len(x.chunk("m", 2))) {
		t.Errorf("releases %+v", list)
	}
	must(t, s.ClearWant(y.Manifest))
	must(t, s.ClearWant(y.Manifest))
	if got := s.Wants(); len(got) != 0 {
		t.Errorf("wants %v after clearing", got)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	c := testConfig(t, t.TempDir())
	open(t, c)
	_, err := Open(c)
	wantErr(t, err, ErrLocked)
	_, err = Rebuild(t.Context(), c, FsckOptions{})
	wantErr(t, err, ErrLocked)
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"no folder":     {},
		"commit bytes":  {Dir: "x", CommitBytes: -1},
		"negative time": {Dir: "x", Grace: -1},
	} {
		if _, err := Open(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Many fetchers put the chunks of many files, some of them twice.
func TestConcurrentPuts(t *testing.T) {
	s := openTemp(t)
	data := map[string][]byte{}
	for i := range 6 {
		data[string(rune('a'+i))] = noise(uint64(i), 900_000)
	}
	x := newFixture(t, "acme/vad", "1", 1, data)
	begin(t, s, x)
	var group sync.WaitGroup
	for path := range data {
		for worker := range 3 {
			group.Go(func() {
				for i := range x.chunks(path) {
					if err := s.PutChunk(t.Context(), x.file(path).ID(), (i+worker*2)%x.chunks(path), x.chunk(path, (i+worker*2)%x.chunks(path))); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	must(t, s.Flush(t.Context()))
	if !complete(t, s, x) {
		t.Error("not complete")
	}
}

// A flipped byte on disk is found, not served, missing from then on, and put
// right by putting the chunk again.
func TestFlippedByte(t *testing.T) {
	var calls atomic.Int32
	c := testConfig(t, t.TempDir())
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 900_000)})
	id := x.file("m").ID()
	c.OnCorrupt = func(got manifest.FileID, i int) {
		if got == id && i == 3 {
			calls.Add(1)
		}
	}
	s := open(t, c)
	keep(t, s, x)
	damage(t, fullPath(t, s, x, "m"), 3*2*manifest.MinChunkBytes+5)

	if _, err := s.Chunk(t.Context(), id, 3, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a rotten chunk: %v", err)
	}
	if _, err := s.Chunk(t.Context(), id, 3, nil); !errors.Is(err, ErrNotHeld) {
		t.Errorf("a rotten chunk, asked for again: %v", err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("OnCorrupt was called %d times, want once", n)
	}
	wantErr(t, s.Verify(t.Context(), x.Manifest, "default", nil), ErrNotHeld)
	if complete(t, s, x) {
		t.Error("complete with a rotten chunk")
	}
	if n := putMissing(t, s, x); n != len(x.chunk("m", 3)) {
		t.Errorf("put %d bytes again, want one chunk", n)
	}
	must(t, s.Verify(t.Context(), x.Manifest, "default", nil))
	if info, err := os.Stat(fullPath(t, s, x, "m")); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("a repaired file: %v, %v, want it read-only", info.Mode(), err)
	}
}

func TestVerifyFindsRot(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 900_000)})
	keep(t, s, x)
	damage(t, fullPath(t, s, x, "m"), 1)
	wantErr(t, s.Verify(t.Context(), x.Manifest, "default", nil), ErrCorrupt)
	if n := putMissing(t, s, x); n != len(x.chunk("m", 0)) {
		t.Errorf("put %d bytes again, want one chunk", n)
	}
}

// A manifest may give a file one sha256 and the digests of other bytes.
func TestManifestThatContradictsItself(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 300_000)})
	x.m.Variants[0].Files[0].SHA256 = manifest.SumDigest([]byte("something else"))
	x.sign(t, "2", 2)
	keep(t, s, x)
	wantErr(t, s.Verify(t.Context(), x.Manifest, "default", nil), ErrMismatch)
}

func TestFilesGoneFromDisk(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"deleted":   os.Remove,
		"truncated": func(path string) error { return errors.Join(os.Chmod(path, 0o644), os.Truncate(path, 100)) },
		"a link": func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path))
		},
		"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openTemp(t)
			x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 600_000)})
			keep(t, s, x)
			must(t, spoil(fullPath(t, s, x, "m")))
			report, err := s.Fsck(t.Context(), FsckOptions{})
			must(t, err)
			if report.Rotten != x.chunks("m") || len(report.MissingFiles) != 1 {
				t.Errorf("fsck: %+v", report)
			}
			must(t, s.Begin(t.Context(), x.Release, []string{"default"}))
			putMissing(t, s, x)
			if !complete(t, s, x) {
				t.Error("not complete after fetching again")
			}
			fsckClean(t, s)
		})
	}
}

// Readers go on while releases come and go under them.
func TestReadersDuringRemove(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 400_000)})
	keep(t, s, x)
	id := x.file("m").ID()
	stop := make(chan struct{})
	var group sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		group.Go(func() {
			var buf []byte
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := i % x.chunks("m")
				data, err := s.Chunk(t.Context(), id, n, buf)
				switch {
				case err == nil && bytes.Equal(data, x.chunk("m", n)):
					buf = data
					served.Add(1)
				case err == nil:
					t.Error("served other bytes")
				case !errors.Is(err, ErrNotHeld):
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		must(t, s.Remove(x.Manifest))
		keep(t, s, x)
		for before := served.Load(); served.Load() < before+3; {
			if t.Failed() {
				break
			}
		}
	}
	close(stop)
	group.Wait()
	fsckClean(t, s)
}

func TestBlocks(t *testing.T) {
	s := openTemp(t)
	b := manifest.Block{CID: manifest.SumCID(manifest.Raw, []byte("hello")), Data: []byte("hello")}
	_, err := s.Block(b.CID)
	wantErr(t, err, ErrNotHeld)
	wantErr(t, s.PutBlock(manifest.Block{CID: b.CID, Data: []byte("other")}), manifest.ErrContent)
	wantErr(t, s.PutBlock(manifest.Block{Data: []byte("other")}), manifest.ErrCID)
	must(t, s.PutBlock(b))
	must(t, s.PutBlock(b))
	got, err := s.Block(b.CID)
	must(t, err)
	if string(got) != "hello" {
		t.Errorf("got %q", got)
	}
	damage(t, s.dir.full(blockName(b.CID)), 0)
	_, err = s.Block(b.CID)
	wantErr(t, err, ErrNotHeld)
	wantErr(t, err, ErrCorrupt)
	damageAgain := s.PutBlock(b)
	must(t, damageAgain)
	if got, err := s.Block(b.CID); err != nil || string(got) != "hello" {
		t.Errorf("put again: %q, %v", got, err)
	}
}

// Whatever links somebody plants in the store's folder, nothing outside it is
// written or handed out.
func TestPlantedLinks(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, noise(9, 300_000), 0o644))
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(9, 300_000), "a/b": noise(8, 10)})
	plants := map[string]func(dir string) error{
		"publisher": func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "models", "acme")) },
		"variant": func(dir string) error {
			d := filepath.Join(dir, filepath.FromSlash(dirOf(x.Release)))
			return errors.Join(os.MkdirAll(d, 0o755), os.Symlink(outside, filepath.Join(d, "default")))
		},
		"file": func(dir string) error {
			d := filepath.Join(dir, filepath.FromSlash(dirOf(x.Release)), "default")
			return errors.Join(os.MkdirAll(d, 0o755), os.Symlink(secret, filepath.Join(d, "m")))
		},
		"release file": func(dir string) error {
			d := filepath.Join(dir, filepath.FromSlash(dirOf(x.Release)))
			return errors.Join(os.MkdirAll(d, 0o755), os.Symlink(secret, filepath.Join(d, ".release")))
		},
		"block folder": func(dir string) error {
			name := filepath.Join(dir, filepath.FromSlash(filepath.Dir(blockName(x.Manifest))))
			return os.Symlink(outside, name)
		},
		"want": func(dir string) error { return os.Symlink(secret, filepath.Join(dir, "wants", x.Manifest.String())) },
	}
	for name, plant := range plants {
		t.Run(name, func(t *testing.T) {
			s := openTemp(t)
			must(t, plant(s.dir.path))
			var err error
			for _, b := range x.blocks {
				err = errors.Join(err, s.PutBlock(b))
			}
			err = errors.Join(err, s.SetWant(x.Release), s.Begin(t.Context(), x.Release, []string{"default"}))
			if err == nil {
				for i := range x.chunks("m") {
					must(t, s.PutChunk(t.Context(), x.file("m").ID(), i, x.chunk("m", i)))
				}
				must(t, s.Flush(t.Context()))
				if path, err := filepath.EvalSymlinks(fullPath(t, s, x, "m")); err != nil || strings.HasPrefix(path, outside) {
					t.Errorf("the file lies at %s: %v", path, err)
				}
			}
			if _, err := s.GC(t.Context()); err != nil && name != "block folder" {
				t.Error(err)
			}
			entries, err := os.ReadDir(outside)
			must(t, err)
			data, err := os.ReadFile(secret)
			must(t, err)
			if len(entries) != 1 || !bytes.Equal(data, noise(9, 300_000)) {
				t.Errorf("something outside was touched: %v", entries)
			}
		})
	}
}
