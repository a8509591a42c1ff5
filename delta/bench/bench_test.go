package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/program"
)

// fake is the variable that makes the test binary stand in for dunlin:
// "copy" does what it should, "wrong" decodes a byte wrongly, "fail" fails.
const fake = "DUNLIN_BENCH_FAKE"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 3 && os.Args[1] == "-corpus" && os.Args[3] == "-prepare":
		main()
	case os.Getenv(fake) != "" && len(os.Args) > 2 && os.Args[1] == "delta":
		if err := fakeDunlin(os.Args[2], os.Args[3:], os.Getenv(fake)); err != nil {
			fmt.Fprintln(os.Stderr, "dunlin:", err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// fakeDunlin is `dunlin delta VERB ARGS`; its deltas are the new file.
func fakeDunlin(verb string, args []string, mode string) error {
	if mode == "fail" {
		return errors.New("not today")
	}
	data, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	if verb == "decode" && mode == "wrong" {
		data[len(data)/2]++
	}
	return os.WriteFile(args[2], data, 0o644)
}

// tiny makes a corpus of one pair of files.
func tiny(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	old := strings.Repeat("the quick brown fox jumps over the lazy dog. ", 100)
	write(t, filepath.Join(dir, "old"), old)
	write(t, filepath.Join(dir, "new"), strings.Replace(old, "lazy", "energetic", 1))
	write(t, filepath.Join(dir, "PAIRS.tsv"), header+"tiny-pair\told\tnew\ta word\tbsdiff\t150\t100\n")
	return dir
}

func runBench(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	err = run(t.Context(), append([]string{"-dunlin", self, "-corpus", tiny(t), "-temp", t.TempDir()}, args...), os.Getenv, &out, &errs)
	return out.String(), errs.String(), err
}

func TestOnePair(t *testing.T) {
	if there := availableTools(false, io.Discard); len(there) <= len(patchTools) {
		t.Skip("SKIP: needs zstd, xdelta3 and bsdiff, see `make bench-tools`")
	}
	t.Setenv(fake, "copy")
	out, _, err := runBench(t, "-only", "tiny|something-after-nothing")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(strings.Split(out, "\n")[1])
	if len(fields) != 15 || fields[14] != "tiny-pair" || fields[13] != "misses" || strings.Contains(fields[4], "*") {
		t.Errorf("row %q", fields)
	}
	for i, name := range []string{"zstd-patch", "xdelta3", "bsdiff"} {
		if fields[1+i] == "-" || len(fields[1+i]) > 3 {
			t.Errorf("%s took %s bytes", name, fields[1+i])
		}
	}
	if !strings.Contains(out, "PAIRS.tsv, 1 pairs") {
		t.Errorf("no sum in %s", out)
	}
}

func TestWithoutTools(t *testing.T) {
	t.Setenv(fake, "copy")
	out, said, err := runBench(t, "-only", "tiny", "-skip-tools")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, " 150* ") || !strings.Contains(said, "marked *") {
		t.Errorf("the corpus's figure is not marked: %s%s", out, said)
	}
	t.Setenv("PATH", t.TempDir())
	if _, said, err = runBench(t, "-only", "tiny"); err != nil || !strings.Contains(said, "MISSING: zstd") || !strings.Contains(said, "apt-get install") {
		t.Errorf("error %v; missing tools pass quietly: %s", err, said)
	}
}

// TestWrongResultsFail: the exit code is what scripts see.
func TestWrongResultsFail(t *testing.T) {
	for mode, want := range map[string]string{"wrong": "differs from byte", "fail": "not today"} {
		t.Setenv(fake, mode)
		out, _, err := runBench(t, "-only", "tiny", "-skip-tools")
		if err == nil || !strings.Contains(out, "FAILED") || !strings.Contains(out, want) {
			t.Errorf("%s: error %v, table %s", mode, err, out)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "("}, {"-effort", "some"}, {"too", "much"}, {"-nonsense"}} {
		if _, _, err := runBench(t, args...); !errors.Is(err, program.ErrUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, _, err := runBench(t, "-only", "no such case"); err == nil || errors.Is(err, program.ErrUsage) {
		t.Errorf("no case matched: %v", err)
	}
}

func TestProcessIsBounded(t *testing.T) {
	if _, err := process(t.Context(), 50*time.Millisecond, nil, "sleep", "60"); err == nil || !strings.Contains(err.Error(), "stopped after") {
		t.Errorf("error %v", err)
	}
	used, err := process(t.Context(), time.Minute, []string{"X=7"}, "sh", "-c", "test $X = 7; echo $X $X >&2")
	if err != nil || used.peak == 0 {
		t.Errorf("%+v, %v", used, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var said tail
	fmt.Fprint(&said, strings.Repeat("x", errText), "the\nend")
	if got := said.line(); len(got) != errText || !strings.HasSuffix(got, "x"+"the end") {
		t.Errorf("%d bytes, %q", len(got), got[len(got)-10:])
	}
}

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		write(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	long := strings.Repeat("0123456789", 60_000)
	want := path("want", long)
	if err := compare(want, path("same", long)); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{"shorter": long[:500_000], "longer": long + "x", "other": long[:500_000] + "x" + long[500_001:]} {
		at := "500000"
		if name == "longer" {
			at = "600000"
		}
		if err := compare(want, path(name, text)); err == nil || !strings.Contains(err.Error(), "byte "+at+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := compare(want, filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there is the same")
	}
}
