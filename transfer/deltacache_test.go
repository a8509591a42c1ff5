package transfer

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

func keyOf(name string) deltaKey {
	c := manifest.SumCID(manifest.DagCBOR, []byte(name))
	return deltaKey{1, manifest.FileID{Layout: c, Digests: c}, manifest.FileID{}, codec.Strong}
}

func openCache(t *testing.T, dir string, most int64) *deltaCache {
	t.Helper()
	c, err := openDeltaCache(dir, most, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() })
	return c
}

// store puts a complete delta into the cache.
func store(t *testing.T, c *deltaCache, name string, data []byte) {
	t.Helper()
	g, err := c.begin(keyOf(name), deltaTemp)
	if err != nil || g == nil {
		t.Fatal(g, err)
	}
	defer g.release()
	if _, err := g.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := g.keep(); err != nil {
		t.Fatal(err)
	}
	g.complete()
}

func contentOf(t *testing.T, c *deltaCache, name string) []byte {
	t.Helper()
	g := c.whole(keyOf(name))
	if g == nil {
		return nil
	}
	defer g.release()
	data, err := io.ReadAll(g.reader(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDeltaCacheKeepsTheLastUsed: within the bound the oldest goes, also after a
// restart, and what is in use stays.
func TestDeltaCacheKeepsTheLastUsed(t *testing.T) {
	dir := t.TempDir()
	const size = 10_000
	c := openCache(t, dir, 3*(size+deltaHead))
	for i, name := range []string{"a", "b", "c"} {
		store(t, c, name, bytes.Repeat([]byte{byte(i)}, size))
		time.Sleep(10 * time.Millisecond) // file times are coarse
	}
	if contentOf(t, c, "a") == nil { // used now
		t.Fatal("a is gone")
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyOf("x").name()+deltaTemp), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}

	c = openCache(t, dir, 3*(size+deltaHead))
	if got := c.bytes(); got != 3*(size+deltaHead) {
		t.Errorf("%d bytes after the restart", got)
	}
	if _, err := os.Stat(filepath.Join(dir, keyOf("x").name()+deltaTemp)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	using := c.whole(keyOf("c"))
	store(t, c, "d", make([]byte, size))
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if got := contentOf(t, c, name) != nil; got != want {
			t.Errorf("%s is there: %v, want %v", name, got, want)
		}
	}
	g, err := c.begin(keyOf("large"), deltaTemp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write(make([]byte, 3*size)); !errors.Is(err, errDeltaRoom) {
		t.Errorf("a delta beyond the bound: %v", err)
	}
	if err := g.fail(errDeltaRoom, false); err != nil {
		t.Error(err)
	}
	g.release()
	using.release()
	if got := c.bytes(); got > 3*(size+deltaHead) {
		t.Errorf("%d bytes in the cache", got)
	}
}

// TestDeltaLeavesRoomOnDisk: a disk that fills up ends a delta, not the node.
func TestDeltaLeavesRoomOnDisk(t *testing.T) {
	spare := int64(20 << 20)
	c, err := openDeltaCache(t.TempDir(), 1<<30, func() (int64, error) { return spare, nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	g, err := c.begin(keyOf("a"), deltaTemp)
	if err != nil {
		t.Fatal(err)
	}
	defer g.release()
	for range 18 {
		if _, err = g.Write(make([]byte, 1<<20)); err != nil {
			break
		}
		spare -= 1 << 20
	}
	if !errors.Is(err, errDeltaRoom) || spare < 4<<20 {
		t.Errorf("%v with %d bytes to spare", err, spare)
	}
	if err := g.fail(err, false); err != nil {
		t.Error(err)
	}
}

// TestSpoiltDeltaIsNotServed: a byte that rots in the cache is noticed.
func TestSpoiltDeltaIsNotServed(t *testing.T) {
	dir := t.TempDir()
	c := openCache(t, dir, 1<<20)
	store(t, c, "a", make([]byte, 1000))
	f, err := os.OpenFile(filepath.Join(dir, keyOf("a").name()+deltaWhole), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{1}, deltaHead+500); err != nil {
		t.Fatal(err)
	}
	if contentOf(t, c, "a") != nil || c.bytes() != 0 {
		t.Errorf("served, or %d bytes are left", c.bytes())
	}
}

// TestPartSurvives: of a part, what was synced survives a crash at any byte.
func TestPartSurvives(t *testing.T) {
	dir := t.TempDir()
	c := openCache(t, dir, 1<<20)
	g, err := c.begin(keyOf("a"), deltaPartly)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 5000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for _, end := range []int{2000, 3000, 5000} {
		have, _ := g.part()
		if _, err := g.Write(data[have:end]); err != nil {
			t.Fatal(err)
		}
		if end < 5000 { // the last is not synced
			if err := g.sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(dir, keyOf("a").name()+deltaPartly)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		spoil func([]byte) []byte
		want  int
	}{
		"killed":             {func(b []byte) []byte { return b }, 3000},
		"tail is zeros":      {func(b []byte) []byte { clear(b[deltaHead+3000:]); return b }, 3000},
		"tail is lost":       {func(b []byte) []byte { return b[:deltaHead+3000] }, 3000},
		"second mark torn":   {func(b []byte) []byte { clear(b[deltaMarkBytes+20 : deltaHead]); return b }, 2000},
		"synced bytes wrong": {func(b []byte) []byte { b[deltaHead+2500] ^= 1; return b }, 2000},
		"everything wrong":   {func(b []byte) []byte { b[deltaHead+100] ^= 1; return b }, 0},
		"no head":            {func([]byte) []byte { return nil }, 0},
	} {
		other := t.TempDir()
		if err := os.WriteFile(filepath.Join(other, filepath.Base(path)), tt.spoil(bytes.Clone(image)), 0o600); err != nil {
			t.Fatal(err)
		}
		c := openCache(t, other, 1<<20)
		g, err := c.begin(keyOf("a"), deltaPartly)
		if err != nil {
			t.Fatal(err)
		}
		bytes, sum := g.part()
		if int(bytes) != tt.want || sum != manifest.SumDigest(data[:tt.want]) {
			t.Errorf("%s: %d bytes are there, want %d", name, bytes, tt.want)
		}
		if _, err := g.Write(data[tt.want:]); err != nil {
			t.Fatal(err)
		}
		if err := g.keep(); err != nil {
			t.Fatal(err)
		}
		g.complete()
		g.release()
		if got := contentOf(t, c, "a"); string(got) != string(data) {
			t.Errorf("%s: it does not go on to the end", name)
		}
	}
	if err := g.fail(io.ErrUnexpectedEOF, true); err != nil {
		t.Error(err)
	}
	g.release()
}
