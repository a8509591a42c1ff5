package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// TestMemoryAndDisk fetches and then serves a release of 1 GiB (64 MiB with
// -short) in a process of its own and looks at the peak of its resident memory
// and at what the store takes on disk: 1.01 times the release at most.
func TestMemoryAndDisk(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: the race detector takes memory of its own; this test runs again without it")
	}
	size := 1 << 30
	if testing.Short() {
		size = 64 << 20
	}
	if dir := os.Getenv("DUNLIN_STORE_SIZE_DIR"); dir != "" {
		sizeChild(t, dir, size)
		return
	}
	exe, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestMemoryAndDisk$", fmt.Sprintf("-test.short=%v", testing.Short()))
	cmd.Env = append(os.Environ(), "DUNLIN_STORE_SIZE_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var peak int
	for line := range strings.Lines(string(out)) {
		if _, err := fmt.Sscanf(line, "peak %d kB", &peak); err == nil {
			break
		}
	}
	s := open(t, testConfig(t, dir))
	usage, err := s.Usage()
	must(t, err)
	total := usage.FileBytes + usage.BlockBytes + usage.IndexBytes
	ratio := float64(total) / float64(size)
	t.Logf("%d bytes: peak memory %d kB; files %d, blocks %d, index %d bytes on disk: %.4f of the release",
		size, peak, usage.FileBytes, usage.BlockBytes, usage.IndexBytes, ratio)
	if peak == 0 || peak > 64<<10 { // a node has 96 MiB, and not for the store alone
		t.Errorf("peak memory %d kB, want 1 to %d", peak, 64<<10)
	}
	if ratio > 1.01 && !testing.Short() {
		t.Errorf("%.4f of the release on disk, want 1.01", ratio)
	}
}

// sizeChunk makes chunk i without keeping the release in memory.
func sizeChunk(buf []byte, i int) []byte {
	for at := 0; at < len(buf); at += 8 {
		binary.LittleEndian.PutUint64(buf[at:], uint64(i)<<32|uint64(at))
	}
	return buf
}

func sizeChild(t *testing.T, dir string, size int) {
	l := layoutOf(size, 4*manifest.MinChunkBytes)
	chunks := l.Chunks()
	layout, err := manifest.Encode(l)
	must(t, err)
	digests := make([]manifest.Digest, chunks.Len())
	buf := make([]byte, manifest.MaxChunkBytes)
	for i := range digests {
		_, n := chunks.At(i)
		digests[i] = manifest.SumDigest(sizeChunk(buf[:n], i))
	}
	root, blocks, err := manifest.BuildDigests(digests)
	must(t, err)
	x := &fixture{blocks: append(blocks, layout)}
	x.m = &manifest.Manifest{Schema: 1, Model: "acme/big", Variants: []manifest.Variant{{
		Name: "default", Format: "bytes",
		Files: []manifest.File{{Path: "m", Size: uint64(size), Layout: layout.CID, Digests: root}},
	}}}
	x.sign(t, "1", 1)
	s, err := Open(testConfig(t, dir))
	must(t, err)
	begin(t, s, x)
	id := x.file("m").ID()
	for i := range digests {
		_, n := chunks.At(i)
		must(t, s.PutChunk(context.Background(), id, i, sizeChunk(buf[:n], i)))
	}
	must(t, s.Flush(context.Background()))
	for i := range digests {
		_, err := s.Chunk(context.Background(), id, i, buf)
		must(t, err)
	}
	must(t, s.Close())
	fmt.Printf("peak %d kB\n", peakKilobytes(t))
}

// peakKilobytes reads the peak of this process's resident memory.
func peakKilobytes(t *testing.T) (n int) {
	f, err := os.Open(filepath.Join("/proc", "self", "status"))
	must(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &n); err == nil {
			break
		}
	}
	return n
}
