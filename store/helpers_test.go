package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// fixture is a release made for a test, with its blocks and bytes.
type fixture struct {
	Release
	m      *manifest.Manifest
	blocks []manifest.Block
	data   map[string][]byte // by path in variant "default"
}

// file returns the file of that path.
func (x *fixture) file(path string) manifest.File {
	i := slices.IndexFunc(x.m.Variants[0].Files, func(f manifest.File) bool { return f.Path == path })
	return x.m.Variants[0].Files[i]
}

// layoutOf cuts size bytes every 2·chunk bytes.
func layoutOf(size, chunk int) *manifest.Layout {
	return &manifest.Layout{Schema: 1, Format: "bytes", Size: uint64(size), Chunk: uint32(chunk)}
}

// describeFile makes a file's manifest entry and blocks.
func describeFile(tb rapid.TB, path string, data []byte, chunk int) (manifest.File, []manifest.Block) {
	tb.Helper()
	l := layoutOf(len(data), chunk)
	layout, err := manifest.Encode(l)
	if err != nil {
		tb.Fatal(err)
	}
	chunks := l.Chunks()
	digests := make([]manifest.Digest, chunks.Len())
	for i := range digests {
		offset, n := chunks.At(i)
		digests[i] = manifest.SumDigest(data[offset:][:n])
	}
	root, blocks, err := manifest.BuildDigests(digests)
	if err != nil {
		tb.Fatal(err)
	}
	f := manifest.File{Path: path, Size: uint64(len(data)), SHA256: manifest.SumDigest(data), Layout: layout.CID, Digests: root}
	return f, append(blocks, layout)
}

// newFixture makes a release of one variant, "default".
func newFixture(tb rapid.TB, model manifest.Model, version string, sequence uint64, data map[string][]byte) *fixture {
	tb.Helper()
	x := &fixture{data: data}
	v := manifest.Variant{Name: "default", Format: "bytes"}
	for _, path := range slices.Sorted(maps.Keys(data)) {
		f, blocks := describeFile(tb, path, data[path], manifest.MinChunkBytes)
		v.Files = append(v.Files, f)
		x.blocks = append(x.blocks, blocks...)
	}
	x.m = &manifest.Manifest{Schema: manifest.Schema, Model: model, Variants: []manifest.Variant{v}}
	x.sign(tb, version, sequence)
	return x
}

// sign gives the release its name once the manifest is as it should be.
func (x *fixture) sign(tb rapid.TB, version string, sequence uint64) {
	tb.Helper()
	block, err := manifest.Encode(x.m)
	if err != nil {
		tb.Fatal(err)
	}
	x.blocks = append(x.blocks, block)
	x.Release = Release{Model: x.m.Model, Version: version, Sequence: sequence, Manifest: block.CID}
}

// chunk returns the bytes of chunk i of the file.
func (x *fixture) chunk(path string, i int) []byte {
	offset, n := layoutOf(len(x.data[path]), manifest.MinChunkBytes).Chunks().At(i)
	return x.data[path][offset:][:n]
}

func (x *fixture) chunks(path string) int {
	return layoutOf(len(x.data[path]), manifest.MinChunkBytes).Chunks().Len()
}

// noise makes n bytes that depend on seed alone.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	out := make([]byte, n)
	_, _ = r.Read(out) // never fails
	return out
}

func testConfig(tb rapid.TB, dir string) Config {
	tb.Helper()
	return Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
}

func open(tb testing.TB, c Config) *Store {
	tb.Helper()
	s, err := Open(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

func openTemp(tb testing.TB) *Store {
	tb.Helper()
	return open(tb, testConfig(tb, tb.TempDir()))
}

func must(tb rapid.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantErr(tb rapid.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("got error %v, want %v", err, want)
	}
}

func putBlocks(tb rapid.TB, s *Store, x *fixture) {
	tb.Helper()
	for _, b := range x.blocks {
		must(tb, s.PutBlock(b))
	}
}

// begin puts the blocks and begins variant "default".
func begin(tb rapid.TB, s *Store, x *fixture) {
	tb.Helper()
	putBlocks(tb, s, x)
	must(tb, s.Begin(context.Background(), x.Release, []string{"default"}))
}

// putMissing puts what is not held, and returns the bytes that took.
func putMissing(tb rapid.TB, s *Store, x *fixture) (total int) {
	tb.Helper()
	for path := range x.data {
		id := x.file(path).ID()
		held, err := s.Held(id)
		must(tb, err)
		for i := range manifest.NewRanges(0, x.chunks(path)).Minus(held).All() {
			must(tb, s.PutChunk(context.Background(), id, i, x.chunk(path, i)))
			total += len(x.chunk(path, i))
		}
	}
	must(tb, s.Flush(context.Background()))
	return total
}

// keep begins a release and puts all its chunks.
func keep(tb rapid.TB, s *Store, x *fixture) {
	tb.Helper()
	begin(tb, s, x)
	putMissing(tb, s, x)
}

// complete says whether the variant is complete, and checks the bytes if so.
func complete(tb rapid.TB, s *Store, x *fixture) bool {
	tb.Helper()
	ok, err := s.Complete(x.Manifest, "default")
	must(tb, err)
	if ok {
		loc, err := s.Locate(x.Manifest, "default")
		must(tb, err)
		for _, f := range loc.Files {
			data, err := os.ReadFile(f.FullPath)
			must(tb, err)
			if !f.Complete || !bytes.Equal(data, x.data[f.Path]) {
				tb.Fatalf("%s of a complete variant: complete %v, bytes as they should be: %v", f.Path, f.Complete, bytes.Equal(data, x.data[f.Path]))
			}
		}
	}
	return ok
}

func fullPath(tb rapid.TB, s *Store, x *fixture, path string) string {
	tb.Helper()
	loc, err := s.Locate(x.Manifest, "default")
	must(tb, err)
	for _, f := range loc.Files {
		if f.Path == path {
			return f.FullPath
		}
	}
	tb.Fatalf("no file %s", path)
	return ""
}

// damage flips a byte of a file that may be read-only.
func damage(tb rapid.TB, path string, offset int64) {
	tb.Helper()
	must(tb, os.Chmod(path, 0o644))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(tb, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, offset)
	must(tb, err)
	b[0] ^= 0x40
	_, err = f.WriteAt(b, offset)
	must(tb, errors.Join(err, f.Close()))
}

// fsckClean runs fsck and wants nothing wrong.
func fsckClean(tb rapid.TB, s *Store) FsckReport {
	tb.Helper()
	report, err := s.Fsck(context.Background(), FsckOptions{})
	must(tb, err)
	if !report.Clean() {
		tb.Fatalf("fsck: %+v", report)
	}
	return report
}

// writeFiles writes files below a new folder and returns it.
func writeFiles(tb testing.TB, data map[string][]byte) string {
	tb.Helper()
	dir := tb.TempDir()
	for path, b := range data {
		full := filepath.Join(dir, filepath.FromSlash(path))
		must(tb, os.MkdirAll(filepath.Dir(full), 0o755))
		must(tb, os.WriteFile(full, b, 0o644))
	}
	return dir
}

// clock is a settable time for Config.Now.
type clock struct{ t time.Time }

func newClock() *clock               { return &clock{time.Now()} }
func (c *clock) now() time.Time      { return c.t }
func (c *clock) add(d time.Duration) { c.t = c.t.Add(d) }
