package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// runTest runs one test of this binary in a process of its own.
func runTest(t *testing.T, name, env string) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+name+"$")
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// tiny mounts a file system of that many bytes.
func tiny(t *testing.T, bytes string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes); err != nil {
		t.Skipf("SKIP: no full disk can be tried: mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	return dir
}

// A full disk stops a fetch with a clear message and loses nothing; with room
// the fetch goes on where it was.
func TestFullDisk(t *testing.T) {
	dir := tiny(t, "64m")
	c := testConfig(t, filepath.Join(dir, "store"))
	c.MinFreeBytes = 1 // taken for what the index needs
	s, err := Open(c)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 20<<20)})
	big := newFixture(t, "acme/big", "1", 1, map[string][]byte{"m": noise(2, 60<<20)})

	putBlocks(t, s, big)
	err = s.Begin(t.Context(), big.Release, []string{"default"})
	wantErr(t, err, ErrFull)
	for _, part := range []string{"62914560 bytes needed", "free"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	begin(t, s, x)
	id := x.file("m").ID()
	for i := range 10 {
		must(t, s.PutChunk(t.Context(), id, i, x.chunk("m", i)))
	}
	must(t, s.Flush(t.Context()))

	other := filepath.Join(dir, "other")
	fillDisk(t, other)
	var failed error
	for i := 10; i < x.chunks("m") && failed == nil; i++ {
		failed = s.PutChunk(t.Context(), id, i, x.chunk("m", i))
	}
	failed = errors.Join(failed, s.Flush(t.Context()))
	wantErr(t, failed, ErrFull)
	if _, err := s.Chunk(t.Context(), id, 5, nil); err != nil {
		t.Errorf("a chunk that was held before: %v", err)
	}
	wantErr(t, s.PutBlock(big.blocks[0]), nil) // held already: needs no room
	must(t, os.Remove(other))
	putMissing(t, s, x)
	if !complete(t, s, x) {
		t.Error("not complete once there was room")
	}
	fsckClean(t, s)
}

// The disk is full when the store closes: what was pending is not held, and
// nothing that was is lost.
func TestFullDiskAtClose(t *testing.T) {
	dir := tiny(t, "64m")
	c := testConfig(t, filepath.Join(dir, "store"))
	s, err := Open(c)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": noise(1, 1<<20)})
	putBlocks(t, s, x)
	wantErr(t, s.Begin(t.Context(), x.Release, []string{"default"}), ErrFull) // MinFreeBytes is 64 MiB
	must(t, s.Close())
	c.MinFreeBytes = 1
	s, err = Open(c)
	must(t, err)
	begin(t, s, x)
	must(t, s.PutChunk(t.Context(), x.file("m").ID(), 0, x.chunk("m", 0)))
	must(t, s.Flush(t.Context()))
	other := filepath.Join(dir, "other")
	fillDisk(t, other)
	must(t, s.PutChunk(context.Background(), x.file("m").ID(), 1, x.chunk("m", 1)))
	wantErr(t, s.Close(), ErrFull)
	must(t, os.Remove(other))
	s = open(t, c)
	held, err := s.Held(x.file("m").ID())
	must(t, err)
	if held.Count() != 1 {
		t.Errorf("held %v, want chunk 0", held)
	}
	fsckClean(t, s)
}

// fillDisk leaves 4 MiB, less than the index wants to have.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	free, err := freeBytes(filepath.Dir(name))
	must(t, err)
	f, err := os.Create(name)
	must(t, err)
	must(t, errors.Join(preallocate(f, int64(free-4<<20)), f.Close()))
}
