package store

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// The next release has one file unchanged and one chunk of another changed: only
// that chunk is missing, and the unchanged file is one file on disk.
func TestNextReleaseTakesWhatIsHere(t *testing.T) {
	s := openTemp(t)
	weights := noise(1, 1<<20)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"w": weights, "tokens": noise(2, 5000)})
	keep(t, s, x)

	changed := bytes.Clone(weights)
	changed[300_000] ^= 1
	y := newFixture(t, "acme/vad", "2", 2, map[string][]byte{"w": changed, "tokens": noise(2, 5000)})
	begin(t, s, y)
	if n, want := putMissing(t, s, y), len(y.chunk("w", 2)); n != want {
		t.Errorf("%d bytes were missing, want %d", n, want)
	}
	if !complete(t, s, y) || !complete(t, s, x) {
		t.Error("not complete")
	}
	if !sameFile(t, fullPath(t, s, x, "tokens"), fullPath(t, s, y, "tokens")) {
		t.Error("the unchanged file lies on disk twice")
	}
	usage, err := s.Usage()
	must(t, err)
	if limit := uint64(2<<20 + 8192 + 4096); usage.FileBytes > limit {
		t.Errorf("files take %d bytes, want at most %d", usage.FileBytes, limit)
	}
	must(t, s.Remove(x.Manifest)) // the shared file must survive
	if !complete(t, s, y) {
		t.Error("the second release lost a file with the first")
	}
	fsckClean(t, s)
}

// A chunk that was not held when the next release began is not taken.
func TestPartialSourcesAndPartialLinks(t *testing.T) {
	s := openTemp(t)
	data := noise(1, 800_000)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"w": data})
	begin(t, s, x)
	must(t, s.PutChunk(t.Context(), x.file("w").ID(), 1, x.chunk("w", 1)))
	must(t, s.Flush(t.Context()))

	longer := append(bytes.Clone(data), noise(2, 200_000)...)
	y := newFixture(t, "acme/vad", "2", 2, map[string][]byte{"w": longer})
	begin(t, s, y)
	held, err := s.Held(y.file("w").ID())
	must(t, err)
	if !slices.Equal(held, manifest.NewRanges(1, 2)) {
		t.Errorf("held %v, want chunk 1", held)
	}
	// The same partial file in a third release is the same file.
	z := newFixture(t, "acme/tts", "1", 1, map[string][]byte{"elsewhere/w": data})
	begin(t, s, z)
	putMissing(t, s, z)
	if !complete(t, s, z) || !complete(t, s, x) {
		t.Error("a file shared by two releases is complete in one only")
	}
	fsckClean(t, s)
}

// The same bytes cut at other places are one file on disk, but only if they
// really have the digests that the other manifest gives.
func TestSameBytesCutElsewhere(t *testing.T) {
	s := openTemp(t)
	data := noise(1, 900_000)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"w": data})
	keep(t, s, x)

	f, blocks := describeFile(t, "w", data, 4*manifest.MinChunkBytes)
	y := &fixture{data: x.data, blocks: blocks, m: &manifest.Manifest{
		Schema: 1, Model: "acme/vad", Variants: []manifest.Variant{{Name: "default", Format: "bytes", Files: []manifest.File{f}}},
	}}
	y.sign(t, "2", 2)
	begin(t, s, y)
	if !complete(t, s, y) || !sameFile(t, fullPath(t, s, x, "w"), fullPath(t, s, y, "w")) {
		t.Error("the same bytes lie on disk twice")
	}

	// An attacker's manifest claims the sha256 of our file for other bytes.
	evil, blocks := describeFile(t, "w", noise(66, len(data)), manifest.MinChunkBytes)
	evil.SHA256 = f.SHA256
	z := &fixture{data: map[string][]byte{"w": noise(66, len(data))}, blocks: blocks, m: &manifest.Manifest{
		Schema: 1, Model: "evil/vad", Variants: []manifest.Variant{{Name: "default", Format: "bytes", Files: []manifest.File{evil}}},
	}}
	z.sign(t, "1", 1)
	keep(t, s, z)
	if sameFile(t, fullPath(t, s, x, "w"), fullPath(t, s, z, "w")) {
		t.Fatal("another publisher's chunks were written into our file")
	}
	must(t, s.Verify(t.Context(), x.Manifest, "default", nil))
	fsckClean(t, s)
}

func TestTwoFilesAlikeInOneRelease(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"a": noise(1, 200_000), "b": noise(1, 200_000)})
	keep(t, s, x)
	if !complete(t, s, x) || !sameFile(t, fullPath(t, s, x, "a"), fullPath(t, s, x, "b")) {
		t.Error("twins lie on disk twice")
	}
	must(t, s.Remove(x.Manifest))
	fsckClean(t, s)
}

func TestGoldenSetAndReportComeAlong(t *testing.T) {
	s := openTemp(t)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 100)})
	golden, blocks := describeFile(t, "input_0.pb", []byte("golden"), manifest.MinChunkBytes)
	report, more := describeFile(t, "report.json", []byte("{}"), manifest.MinChunkBytes)
	x.m.Golden, x.m.Report = []manifest.File{golden}, &report
	x.blocks = append(append(x.blocks, blocks...), more...)
	x.sign(t, "1", 1)
	begin(t, s, x)
	must(t, s.PutChunk(t.Context(), golden.ID(), 0, []byte("golden")))
	must(t, s.PutChunk(t.Context(), report.ID(), 0, []byte("{}")))
	must(t, s.Flush(t.Context()))
	for _, v := range []string{Golden, Report} {
		must(t, s.Verify(t.Context(), x.Manifest, v, nil))
		loc, err := s.Locate(x.Manifest, v)
		must(t, err)
		if len(loc.Files) != 1 || !loc.Files[0].Complete || filepath.Base(loc.Dir) != v {
			t.Errorf("%s: %+v", v, loc)
		}
	}
}

func publish(t testing.TB, s *Store, x *fixture, dir string, inPlace bool) {
	t.Helper()
	st, err := s.Stage(t.Context(), dir, inPlace)
	must(t, err)
	for _, f := range st.Files {
		data, err := os.ReadFile(f.FullPath)
		must(t, err)
		if !bytes.Equal(data, x.data[f.Path]) || f.Size != int64(len(data)) {
			t.Errorf("staged %s differs", f.Path)
		}
	}
	must(t, s.Adopt(t.Context(), st, x.Release, "default", x.blocks))
	must(t, st.Discard())
}

func TestPublishCopies(t *testing.T) {
	s := openTemp(t)
	data := map[string][]byte{"m": noise(1, 800_000), "sub/.hidden": noise(2, 10), "empty": {}}
	dir := writeFiles(t, data)
	x := newFixture(t, "acme/vad", "1", 1, data)
	publish(t, s, x, dir, false)
	must(t, os.RemoveAll(dir))
	if !complete(t, s, x) {
		t.Error("not complete")
	}
	if info, err := os.Stat(fullPath(t, s, x, "m")); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("published file: %v, %v, want it read-only", info.Mode(), err)
	}
	must(t, s.Verify(t.Context(), x.Manifest, "default", nil))
	if left, err := s.dir.list(stagingDir); err != nil || len(left) != 0 {
		t.Errorf("left in staging: %v, %v", left, err)
	}
	fsckClean(t, s)
	// The same again costs nothing and changes nothing.
	publish(t, s, x, writeFiles(t, data), false)
	fsckClean(t, s)
}

func TestPublishInPlace(t *testing.T) {
	s := openTemp(t)
	data := map[string][]byte{"m": noise(1, 800_000)}
	dir := writeFiles(t, data)
	x := newFixture(t, "acme/vad", "1", 1, data)
	publish(t, s, x, dir, true)
	if got := fullPath(t, s, x, "m"); !complete(t, s, x) || got != filepath.Join(dir, "m") {
		t.Errorf("the file lies at %s", got)
	}
	if usage, err := s.Usage(); err != nil || usage.FileBytes != 0 {
		t.Errorf("files in place take %d bytes: %v", usage.FileBytes, err)
	}
	// An edit by the user makes a chunk missing; fetching it again must not
	// write to the user's file.
	damage(t, filepath.Join(dir, "m"), 5)
	edited, err := os.ReadFile(filepath.Join(dir, "m"))
	must(t, err)
	_, err = s.Chunk(t.Context(), x.file("m").ID(), 0, nil)
	wantErr(t, err, ErrCorrupt)
	wantErr(t, s.PutChunk(t.Context(), x.file("m").ID(), 0, x.chunk("m", 0)), ErrNotHeld)
	must(t, s.Begin(t.Context(), x.Release, []string{"default"}))
	if n := putMissing(t, s, x); n != len(x.chunk("m", 0)) {
		t.Errorf("%d bytes were missing, want one chunk", n)
	}
	if !complete(t, s, x) || strings.HasPrefix(fullPath(t, s, x, "m"), dir) {
		t.Error("not complete inside the store")
	}
	if now, err := os.ReadFile(filepath.Join(dir, "m")); err != nil || !bytes.Equal(now, edited) {
		t.Error("the user's file was written to")
	}
	must(t, s.Remove(x.Manifest))
	if _, err := os.Stat(filepath.Join(dir, "m")); err != nil {
		t.Errorf("the user's file is gone: %v", err)
	}
}

func TestStageRefuses(t *testing.T) {
	s := openTemp(t)
	link := writeFiles(t, map[string][]byte{"m": {1}})
	must(t, os.Symlink("/etc/passwd", filepath.Join(link, "x")))
	colon := writeFiles(t, map[string][]byte{"a:b": {1}})
	for name, tt := range map[string]struct{ path, want string }{
		"absent":  {filepath.Join(link, "absent"), "no such file"},
		"link":    {link, "symbolic link"},
		"device":  {os.DevNull, "only plain files"},
		"empty":   {t.TempDir(), "no files"},
		"colon":   {colon, "invalid name"},
		"itself/": {"", ""},
	} {
		if tt.want == "" {
			continue
		}
		for _, inPlace := range []bool{false, true} {
			if _, err := s.Stage(t.Context(), tt.path, inPlace); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", name, err, tt.want)
			}
		}
	}
	if left, err := s.dir.list(stagingDir); err != nil || len(left) != 0 {
		t.Errorf("left in staging: %v, %v", left, err)
	}
}

func TestAdoptChecksTheManifest(t *testing.T) {
	s := openTemp(t)
	data := map[string][]byte{"m": noise(1, 1000)}
	x := newFixture(t, "acme/vad", "1", 1, data)
	other := writeFiles(t, map[string][]byte{"m": noise(1, 999)})
	for name, tt := range map[string]struct {
		dir, variant string
	}{
		"size":    {other, "default"},
		"variant": {writeFiles(t, data), "int8"},
		"files":   {writeFiles(t, map[string][]byte{"m": data["m"], "n": {1}}), "default"},
	} {
		st, err := s.Stage(t.Context(), tt.dir, false)
		must(t, err)
		if err := s.Adopt(t.Context(), st, x.Release, tt.variant, x.blocks); err == nil {
			t.Errorf("%s: adopted", name)
		} else {
			wantErr(t, err, ErrMismatch)
		}
		must(t, st.Discard())
	}
	st, err := s.Stage(t.Context(), writeFiles(t, data), true)
	must(t, err)
	damage(t, st.Files[0].FullPath, 3)
	wantErr(t, s.Adopt(t.Context(), st, x.Release, "default", x.blocks), ErrMismatch)
}

// Publishing what a fetch has begun completes the fetch.
func TestAdoptOverAPartialFetch(t *testing.T) {
	s := openTemp(t)
	data := map[string][]byte{"m": noise(1, 500_000)}
	x := newFixture(t, "acme/vad", "1", 1, data)
	begin(t, s, x)
	must(t, s.PutChunk(t.Context(), x.file("m").ID(), 1, x.chunk("m", 1)))
	publish(t, s, x, writeFiles(t, data), false)
	if !complete(t, s, x) {
		t.Error("not complete")
	}
	fsckClean(t, s)
}

// Successive real models, stored as releases, read back as they were.
func TestCorpus(t *testing.T) {
	s := openTemp(t)
	for i, name := range []string{"silero-onnx/v5.1/silero_vad.onnx", "silero-onnx/v6.0/silero_vad.onnx", "silero-onnx/v6.2/silero_vad.onnx"} {
		path := filepath.Join(corpus.Dir(t), filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Skipf("SKIP: corpus has no %s", name)
		}
		x := newFixture(t, "silero/vad", string(rune('1'+i)), uint64(i+1), map[string][]byte{filepath.Base(path): data})
		publish(t, s, x, path, false)
		if !complete(t, s, x) {
			t.Errorf("%s is not complete", name)
		}
	}
	fsckClean(t, s)
}

func sameFile(t testing.TB, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	must(t, err)
	y, err := os.Stat(b)
	must(t, err)
	return os.SameFile(x, y)
}
