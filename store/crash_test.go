package store

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// crashRelease is what the child of TestKillNine fetches.
func crashRelease(tb testing.TB) *fixture {
	return newFixture(tb, "acme/vad", "1", 1, map[string][]byte{"a": noise(1, 24<<20), "b": noise(2, 9_999_999)})
}

// TestKillNine kills a process that fetches, -9, at 100 random moments (10 with
// -short). After each the store opens, fsck is clean, and of the bytes that
// were put no more than one commit's are missing.
func TestKillNine(t *testing.T) {
	if dir := os.Getenv("DUNLIN_STORE_CRASH_DIR"); dir != "" {
		crashChild(t, dir)
		return
	}
	kills := 100
	if testing.Short() {
		kills = 10
	}
	exe, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	x := crashRelease(t)
	var held, lost, most, fetches int
	for kill := range kills {
		put, done := runChild(t, exe, dir, time.Duration(rand.IntN(150))*time.Millisecond)
		s, err := Open(testConfig(t, dir))
		must(t, err)
		report, err := s.Fsck(t.Context(), FsckOptions{})
		must(t, err)
		report.Orphans = nil // a folder whose release was being begun
		if !report.Clean() {
			t.Fatalf("after kill %d: fsck %+v", kill, report)
		}
		gone := max(0, held+put-int(report.Bytes))
		held, lost, most = int(report.Bytes), lost+gone, max(most, gone)
		if gone > DefaultCommitBytes {
			t.Errorf("kill %d: %d bytes must be fetched again, want at most %d", kill, gone, DefaultCommitBytes)
		}
		if done || kill == kills-1 {
			putBlocks(t, s, x)
			must(t, s.Begin(t.Context(), x.Release, []string{"default"}))
			putMissing(t, s, x)
			if !complete(t, s, x) {
				t.Fatalf("after kill %d: not complete", kill)
			}
			must(t, s.Remove(x.Manifest))
			held, fetches = 0, fetches+1
		}
		must(t, s.Close())
	}
	t.Logf("%d kills in %d fetches: %d bytes to be fetched again, %d a kill, %d at most", kills, fetches, lost, lost/kills, most)
}

// runChild starts a fetch, kills it after a while from the first chunk on, and
// returns how many bytes it said that it had put.
func runChild(t *testing.T, exe, dir string, after time.Duration) (put int, done bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKillNine$")
	cmd.Env = append(os.Environ(), "DUNLIN_STORE_CRASH_DIR="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			put += n
			if timer == nil {
				timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
			}
		}
		done = done || lines.Text() == "done"
	}
	if timer != nil {
		timer.Stop()
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() > 0 {
		t.Fatalf("child: %v", err)
	}
	return put, done
}

// crashChild fetches in random order and says after each chunk how many bytes
// it has put; a chunk that it had no time to tell of counts as not put, which
// errs on the wrong side by one chunk at most.
func crashChild(t *testing.T, dir string) {
	s, err := Open(testConfig(t, dir))
	must(t, err)
	x := crashRelease(t)
	begin(t, s, x)
	type piece struct {
		path string
		i    int
	}
	var missing []piece
	for path := range x.data {
		held, err := s.Held(x.file(path).ID())
		must(t, err)
		for i := range manifest.NewRanges(0, x.chunks(path)).Minus(held).All() {
			missing = append(missing, piece{path, i})
		}
	}
	rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
	fmt.Println(0)
	for _, p := range missing {
		must(t, s.PutChunk(t.Context(), x.file(p.path).ID(), p.i, x.chunk(p.path, p.i)))
		fmt.Println(len(x.chunk(p.path, p.i)))
	}
	must(t, s.Flush(t.Context()))
	fmt.Println("done")
	must(t, s.Close())
	_, _ = io.WriteString(os.Stdout, "closed\n") // for whoever reads along
}
