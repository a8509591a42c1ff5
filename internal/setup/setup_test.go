package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/program"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// wheel makes a wheel with these members, in order: name, content, name...
func wheel(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const member = "onnxruntime/capi/libonnxruntime.so.9"

// pinnedTo is a build whose wheel and library have these contents.
func pinnedTo(wheel []byte, library string) ortlib.Library {
	return ortlib.Library{
		OS: "linux", Arch: "amd64", Wheel: "w.whl", WheelSHA256: sum(wheel),
		Package: "onnxruntime", Version: "9",
		Member: ortlib.Member{Path: member, Bytes: int64(len(library)), SHA256: sum([]byte(library))},
	}
}

// mirror is a fetcher that gives this wheel.
func mirror(wheel []byte) fetcher {
	return func(_ context.Context, lib ortlib.Library, dir string) (string, error) {
		path := filepath.Join(dir, lib.Wheel)
		return path, os.WriteFile(path, wheel, 0o644)
	}
}

func unreachable(context.Context, ortlib.Library, string) (string, error) {
	return "", errors.New("nothing may be fetched")
}

// files lists the files under a folder.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPlacePutsTheLibraryOnce(t *testing.T) {
	w := wheel(t, "onnxruntime/__init__.py", "import evil", "../../escape", "x", member, "the library")
	lib, build := pinnedTo(w, "the library"), t.TempDir()
	target := filepath.Join(build, lib.RelPath())
	placed, err := place(t.Context(), lib, build, mirror(w))
	if err != nil || !placed {
		t.Fatalf("got %v, %v", placed, err)
	}
	if got := files(t, build); len(got) != 1 || got[0] != target {
		t.Errorf("files are %v, want only %s", got, target)
	}
	if content, err := os.ReadFile(target); err != nil || string(content) != "the library" {
		t.Errorf("got %q, %v", content, err)
	}
	if placed, err := place(t.Context(), lib, build, unreachable); err != nil || placed {
		t.Errorf("the second time: got %v, %v", placed, err)
	}
	// What was damaged is replaced.
	if err := os.WriteFile(target, []byte("rotten"), 0o755); err != nil {
		t.Fatal(err)
	}
	if placed, err := place(t.Context(), lib, build, mirror(w)); err != nil || !placed {
		t.Errorf("after damage: got %v, %v", placed, err)
	}
}

// TestPlacePutsWhatTheLibraryLoadsBesideIt: all or nothing, and what is damaged
// among it is replaced.
func TestPlacePutsWhatTheLibraryLoadsBesideIt(t *testing.T) {
	const plugin = "onnxruntime/capi/libopenvino_intel_cpu_plugin.so"
	w := wheel(t, plugin, "the plugin", member, "the library")
	lib, build := pinnedTo(w, "the library"), t.TempDir()
	lib.Package = "onnxruntime-openvino"
	lib.Beside = []ortlib.Member{{Path: plugin, Bytes: 10, SHA256: sum([]byte("the plugin"))}}
	target := filepath.Join(build, "ort", "openvino-9", "linux-amd64", "libonnxruntime.so")
	beside := filepath.Join(filepath.Dir(target), "libopenvino_intel_cpu_plugin.so")
	if placed, err := place(t.Context(), lib, build, mirror(w)); err != nil || !placed {
		t.Fatalf("got %v, %v", placed, err)
	}
	if got := files(t, build); len(got) != 2 || got[0] != target || got[1] != beside {
		t.Errorf("files are %v", got)
	}
	if err := os.WriteFile(beside, []byte("rotten"), 0o755); err != nil {
		t.Fatal(err)
	}
	if placed, err := place(t.Context(), lib, build, mirror(w)); err != nil || !placed {
		t.Errorf("after damage: got %v, %v", placed, err)
	}
	if content, err := os.ReadFile(beside); err != nil || string(content) != "the plugin" {
		t.Errorf("got %q, %v", content, err)
	}
	lib.Beside[0].Bytes++
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	if _, err := place(t.Context(), lib, build, mirror(w)); !errors.Is(err, errDigest) {
		t.Errorf("a plugin of another size: got %v", err)
	}
}

func TestPlaceRefusesEverythingElse(t *testing.T) {
	good := wheel(t, member, "the library")
	lib := pinnedTo(good, "the library")
	repinned := func(w []byte) ortlib.Library { // as if that wheel had been pinned
		l := lib
		l.WheelSHA256 = sum(w)
		return l
	}
	other, longer := wheel(t, member, "the librarx"), wheel(t, member, "the library and more")
	none, twice := wheel(t, "x", "y"), wheel(t, member, "the library", member, "the library")
	noZip := []byte("<html>log in to the network</html>")
	for name, c := range map[string]struct {
		lib   ortlib.Library
		wheel []byte
		text  string
	}{
		"another wheel":     {lib, other, "digest mismatch"},
		"no wheel at all":   {lib, noZip, "digest mismatch"},
		"another library":   {repinned(other), other, "digest mismatch"},
		"a longer library":  {repinned(longer), longer, "digest mismatch"},
		"no library":        {repinned(none), none, "no member"},
		"two libraries":     {repinned(twice), twice, "two members"},
		"a broken zip file": {repinned(noZip), noZip, "zip"},
	} {
		t.Run(name, func(t *testing.T) {
			build := t.TempDir()
			if _, err := place(t.Context(), c.lib, build, mirror(c.wheel)); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want an error that says %q", err, c.text)
			}
			if got := files(t, build); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

func TestRunExplains(t *testing.T) {
	var out, errs strings.Builder
	for name, c := range map[string]struct {
		args []string
		text string
	}{
		"no Python":        {[]string{"-python", "no-such-python", "-platform", "linux/arm64", "-build", t.TempDir()}, "give it with -wheel"},
		"unknown platform": {[]string{"-platform", "plan9/386"}, "carries and serves chunks"},
		"missing wheel":    {[]string{"-wheel", "/no/such.whl", "-platform", "linux/arm64", "-build", t.TempDir()}, "/no/such.whl"},
		"arguments":        {[]string{"now"}, program.ErrUsage.Error()},
	} {
		if err := run(t.Context(), c.args, &out, &errs); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.text)
		}
	}
}

// TestPipWithoutPip runs a "Python" that has no pip, and one whose index has
// no such wheel.
func TestPipWithoutPip(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIP: the stand-in for Python is a shell script")
	}
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lib, _ := ortlib.Pinned("linux", "arm64")
	for program, text := range map[string]string{
		script("nopip", "echo No module named pip >&2; exit 1"):                                          "has no working pip: exit status 1: No module named pip",
		script("nonet", `test "$3" = --version && exit 0; echo ERROR: no matching distribution; exit 1`): "no matching distribution; check the network",
	} {
		if _, err := (pip{program: program}).download(t.Context(), lib, t.TempDir()); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want an error that says %q", err, text)
		}
	}
	// What pip is asked for does not depend on the machine.
	echo := script("echo", `echo "$@" >> `+filepath.Join(dir, "args")+"\n")
	path, err := pip{program: echo}.download(t.Context(), lib, dir)
	if err != nil || path != filepath.Join(dir, lib.Wheel) {
		t.Fatalf("got %s, %v", path, err)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version=3.11", "--platform=manylinux_2_28_aarch64"} {
		if !strings.Contains(string(args), want) {
			t.Errorf("pip got %q, want %s", args, want)
		}
	}
	requirements, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
	if err != nil || string(requirements) != "onnxruntime=="+ortlib.Version+" --hash=sha256:"+lib.WheelSHA256+"\n" {
		t.Errorf("requirements are %q, %v", requirements, err)
	}
}
