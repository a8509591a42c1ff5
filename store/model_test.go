package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// TestModel runs random sequences of operations on a store and on a few maps
// that say what must hold, and compares them after each step.
func TestModel(t *testing.T) {
	// Releases that share whole files, share chunks, and share nothing.
	base := noise(1, 900_000)
	edited := bytes.Clone(base)
	edited[200_000] ^= 1
	xs := []*fixture{
		newFixture(t, "acme/vad", "1", 1, map[string][]byte{"w": base, "t": noise(2, 3000)}),
		newFixture(t, "acme/vad", "2", 2, map[string][]byte{"w": edited, "t": noise(2, 3000)}),
		newFixture(t, "acme/tts", "1", 1, map[string][]byte{"w": noise(3, 400_000), "deep/er/w": base}),
	}
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(root, strconv.Itoa(runs))
		defer func() { must(t, os.RemoveAll(dir)) }()
		m := &machine{xs: xs, dir: dir, begun: map[int]bool{}, pinned: map[int]bool{}, held: map[manifest.FileID]map[int]bool{}}
		m.open(t)
		defer func() { must(t, m.s.Close()) }()
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"begin":  m.begin,
			"put":    m.put,
			"putAll": m.putAll,
			"rot":    m.rot,
			"pin":    m.pin,
			"remove": m.remove,
			"gc":     m.gc,
			"reopen": func(t *rapid.T) { must(t, m.s.Close()); m.open(t) },
		})
	})
}

// machine is a store and what must be true of it.
type machine struct {
	xs     []*fixture
	dir    string
	s      *Store
	begun  map[int]bool
	pinned map[int]bool
	held   map[manifest.FileID]map[int]bool // durable chunks at least; more may be taken from elsewhere
}

func (m *machine) open(t *rapid.T) {
	c := testConfig(t, m.dir)
	c.Grace = 1 // a nanosecond
	s, err := Open(c)
	must(t, err)
	m.s = s
}

func (m *machine) draw(t *rapid.T) (int, *fixture) {
	n := rapid.IntRange(0, len(m.xs)-1).Draw(t, "release")
	return n, m.xs[n]
}

func (m *machine) begin(t *rapid.T) {
	n, x := m.draw(t)
	begin(t, m.s, x)
	m.begun[n] = true
	m.learn(t, x)
}

// learn takes over what a Begin has found elsewhere, which must be at least
// every chunk of these bytes that was held.
func (m *machine) learn(t *rapid.T, x *fixture) {
	known := map[manifest.Digest]bool{}
	for n := range m.begun {
		for path := range m.xs[n].data {
			for i := range m.held[m.xs[n].file(path).ID()] {
				known[manifest.SumDigest(m.xs[n].chunk(path, i))] = true
			}
		}
	}
	for path := range x.data {
		id := x.file(path).ID()
		got, err := m.s.Held(id)
		must(t, err)
		for i := range x.chunks(path) {
			if known[manifest.SumDigest(x.chunk(path, i))] && !got.Contains(i) {
				t.Fatalf("chunk %d of %s is in the store and was not taken", i, path)
			}
		}
		m.held[id] = map[int]bool{}
		for i := range got.All() {
			m.held[id][i] = true
		}
	}
}

func (m *machine) put(t *rapid.T) {
	n, x := m.draw(t)
	path := rapid.SampledFrom([]string{"w", "t", "deep/er/w"}).Draw(t, "path")
	if _, ok := x.data[path]; !ok {
		return
	}
	i := rapid.IntRange(0, x.chunks(path)-1).Draw(t, "chunk")
	id := x.file(path).ID()
	err := m.s.PutChunk(context.Background(), id, i, x.chunk(path, i))
	if !m.knows(id) {
		wantErr(t, err, ErrNotHeld)
		return
	}
	must(t, err)
	must(t, m.s.Flush(context.Background()))
	m.held[id][i] = true
	_ = n
}

// knows says whether a release that has the file was begun.
func (m *machine) knows(id manifest.FileID) bool {
	for n := range m.begun {
		for path := range m.xs[n].data {
			if m.xs[n].file(path).ID() == id {
				return true
			}
		}
	}
	return false
}

func (m *machine) putAll(t *rapid.T) {
	n, x := m.draw(t)
	if !m.begun[n] {
		return
	}
	putMissing(t, m.s, x)
	m.learn(t, x)
}

func (m *machine) rot(t *rapid.T) {
	n, x := m.draw(t)
	id := x.file("w").ID()
	if !m.begun[n] || !m.held[id][0] {
		return
	}
	damage(t, fullPath(t, m.s, x, "w"), 17)
	if _, err := m.s.Chunk(context.Background(), id, 0, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("rotten chunk: %v", err)
	}
	delete(m.held[id], 0)
}

func (m *machine) pin(t *rapid.T) {
	n, x := m.draw(t)
	if !m.begun[n] {
		return
	}
	if m.pinned[n] = !m.pinned[n]; m.pinned[n] {
		must(t, m.s.Pin(x.Manifest, PinCarried))
	} else {
		must(t, m.s.Unpin(x.Manifest, PinCarried))
	}
}

func (m *machine) forget(n int) {
	delete(m.begun, n)
	for path := range m.xs[n].data {
		if id := m.xs[n].file(path).ID(); !m.knows(id) {
			delete(m.held, id)
		}
	}
}

func (m *machine) remove(t *rapid.T) {
	n, x := m.draw(t)
	err := m.s.Remove(x.Manifest)
	switch {
	case !m.begun[n]:
		wantErr(t, err, ErrNotHeld)
	case m.pinned[n]:
		wantErr(t, err, ErrPinned)
	default:
		must(t, err)
		m.forget(n)
	}
}

func (m *machine) gc(t *rapid.T) {
	report, err := m.s.GC(context.Background())
	must(t, err)
	for n, x := range m.xs {
		for _, r := range report.Releases {
			if r == x.Release {
				if m.pinned[n] {
					t.Fatal("GC took a pinned release")
				}
				m.forget(n)
			}
		}
	}
	for n := range m.begun {
		if !m.pinned[n] {
			t.Fatalf("GC left release %d, which nothing keeps", n)
		}
	}
}

func (m *machine) check(t *rapid.T) {
	for n, x := range m.xs {
		if _, ok := m.s.release(x.Manifest); ok != m.begun[n] {
			t.Fatalf("release %d is here: %v, want %v", n, ok, m.begun[n])
		}
		whole := m.begun[n]
		for path := range x.data {
			id := x.file(path).ID()
			if !m.knows(id) {
				continue
			}
			got, err := m.s.Held(id)
			must(t, err)
			if got.Count() != len(m.held[id]) {
				t.Fatalf("%s: held %v, want %d chunks", path, got, len(m.held[id]))
			}
			for i := range m.held[id] {
				data, err := m.s.Chunk(context.Background(), id, i, nil)
				must(t, err)
				if !bytes.Equal(data, x.chunk(path, i)) {
					t.Fatalf("%s: chunk %d reads as something else", path, i)
				}
			}
			whole = whole && len(m.held[id]) == x.chunks(path)
		}
		if got := complete(t, m.s, x); got != whole {
			t.Fatalf("release %d complete: %v, want %v", n, got, whole)
		}
	}
	report, err := m.s.Fsck(context.Background(), FsckOptions{})
	must(t, err)
	if !report.Clean() {
		t.Fatalf("fsck: %+v", report)
	}
}
