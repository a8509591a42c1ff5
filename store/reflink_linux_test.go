package store

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// On a file system that shares blocks a copy for publishing and the unchanged
// part of the next release cost next to nothing.
func TestReflink(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: reflinks need a file system mounted for them, and that root")
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	must(t, os.WriteFile(image, nil, 0o644))
	must(t, os.Truncate(image, 512<<20))
	for _, args := range [][]string{{"mkfs.xfs", "-q", "-m", "reflink=1", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("SKIP: reflinks cannot be tried here: %s: %v %s", args[0], err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.CommandContext(context.Background(), "umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	s, err := Open(testConfig(t, filepath.Join(dir, "store")))
	must(t, err)
	defer func() { must(t, s.Close()) }()
	data := noise(1, 32<<20)
	source := filepath.Join(dir, "source")
	must(t, os.Mkdir(source, 0o755))
	must(t, os.WriteFile(filepath.Join(source, "m"), data, 0o644))
	must(t, exec.CommandContext(t.Context(), "sync", "-f", dir).Run())

	before, err := freeBytes(dir)
	must(t, err)
	x := newFixture(t, "acme/vad", "1", 1, map[string][]byte{"m": data})
	publish(t, s, x, source, false)
	changed := bytes.Clone(data)
	changed[20<<20] ^= 1
	y := newFixture(t, "acme/vad", "2", 2, map[string][]byte{"m": changed})
	keep(t, s, y)
	if !complete(t, s, x) || !complete(t, s, y) {
		t.Error("not complete")
	}
	must(t, exec.CommandContext(t.Context(), "sync", "-f", dir).Run())
	after, err := freeBytes(dir)
	must(t, err)
	if took := int64(before) - int64(after); took > 8<<20 {
		t.Errorf("a published copy and the next release of 32 MiB each took %d bytes", took)
	} else {
		t.Logf("a published copy and the next release of 32 MiB each took %d bytes", took)
	}
	fsckClean(t, s)
}
