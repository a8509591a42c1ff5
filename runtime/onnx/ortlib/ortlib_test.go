package ortlib

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestTableIsWhole(t *testing.T) {
	digest := regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := map[string]bool{}
	for _, l := range pinned() {
		key := l.OS + "/" + l.Arch
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if !digest.MatchString(l.WheelSHA256) || !digest.MatchString(l.SHA256) {
			t.Errorf("%s: digests must be 64 hex digits", key)
		}
		if !strings.HasPrefix(l.Wheel, "onnxruntime-"+Version+"-") || !strings.HasSuffix(l.Wheel, l.Platform+".whl") {
			t.Errorf("%s: wheel %s is not that of %s for %s", key, l.Wheel, Version, l.Platform)
		}
		if !strings.Contains(path.Base(l.Path), Version) || l.Bytes <= 0 {
			t.Errorf("%s: member %s of %d bytes", key, l.Path, l.Bytes)
		}
	}
	for _, key := range []string{"linux/amd64", "linux/arm64"} {
		if !seen[key] {
			t.Errorf("%s is missing", key)
		}
	}
	if _, ok := Pinned("plan9", "386"); ok {
		t.Error("plan9/386 is pinned")
	}
}

// TestOpenVINOIsAnotherBuild: it lies elsewhere than the usual one, so that
// nothing finds it that was not told to.
func TestOpenVINOIsAnotherBuild(t *testing.T) {
	l, ok := OpenVINO("linux", "amd64")
	usual, _ := Pinned("linux", "amd64")
	if !ok || l.RelPath() == usual.RelPath() || !strings.HasPrefix(l.RelPath(), filepath.Join("ort", "openvino-"+OpenVINOVersion)) {
		t.Fatalf("got %v, at %s", ok, l.RelPath())
	}
	digest := regexp.MustCompile(`^[0-9a-f]{64}$`)
	names := map[string]bool{}
	for _, m := range append(l.Beside, l.Member) {
		name := path.Base(m.Path)
		if names[name] || m.Bytes <= 0 || !digest.MatchString(m.SHA256) || !strings.HasPrefix(m.Path, "onnxruntime/capi/") {
			t.Errorf("member %+v", m)
		}
		names[name] = true
	}
	if !names["libonnxruntime_providers_openvino.so"] || !names["libopenvino_intel_cpu_plugin.so"] {
		t.Errorf("members are %v", names)
	}
	for _, at := range [][2]string{{"linux", "arm64"}, {"darwin", "arm64"}} {
		if _, ok := OpenVINO(at[0], at[1]); ok {
			t.Errorf("pinned for %v", at)
		}
	}
	if got, ok := byDigest(l.SHA256); runtime.GOOS == "linux" && runtime.GOARCH == "amd64" && (!ok || got != OpenVINOVersion) {
		t.Errorf("its digest is that of %q, %v", got, ok)
	}
}

// noEnv is an environment without variables.
func noEnv(string) string { return "" }

// put writes a file and its folders.
func put(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const helloSum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"

func TestLocateTakesWhatTheOperatorNames(t *testing.T) {
	dir := t.TempDir()
	a, b := put(t, filepath.Join(dir, "a.so"), "hello"), put(t, filepath.Join(dir, "b.so"), "other")
	env := func(name string) string {
		return map[string]string{EnvPath: b}[name]
	}
	exe := filepath.Join(dir, "bin", "dunlin")
	got, err := Locate(a, env, exe)
	if err != nil || got != (Found{Path: a, SHA256: helloSum}) {
		t.Errorf("configuration: got %+v, %v", got, err)
	}
	if got, err = Locate("", env, exe); err != nil || got.Path != b || got.Pinned {
		t.Errorf("environment: got %+v, %v", got, err)
	}
	for name, path := range map[string]string{"absent": filepath.Join(dir, "none"), "folder": dir} {
		if _, err := Locate(path, noEnv, exe); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrNotFound that names it", name, err)
		}
	}
}

func TestLocateLooksBesideTheExecutable(t *testing.T) {
	if _, ok := host(); !ok {
		t.Skipf("SKIP: nothing is pinned for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	prefix := t.TempDir()
	exe := put(t, filepath.Join(prefix, "bin", "dunlin"), "")
	_, err := Locate("", noEnv, exe)
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	places := Places(exe)
	for _, place := range places {
		if !strings.Contains(err.Error(), place) {
			t.Errorf("%v does not name %s", err, place)
		}
	}
	// Whatever lies there must be the pinned one.
	for _, place := range places {
		put(t, place, "hello")
		if _, err := Locate("", noEnv, exe); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), helloSum) {
			t.Errorf("%s: got %v, want ErrMismatch", place, err)
		}
		if err := os.Remove(place); err != nil {
			t.Fatal(err)
		}
	}
	// A link to the executable does not move the library.
	link := filepath.Join(t.TempDir(), "dunlin")
	if err := os.Symlink(exe, link); err != nil {
		t.Skip(err)
	}
	real, err := filepath.EvalSymlinks(prefix)
	if err != nil {
		t.Fatal(err)
	}
	if got := Places(link); !strings.HasPrefix(got[0], real) {
		t.Errorf("looked for %v, want under %s", got, real)
	}
}

// TestSetupAndLocateAgree puts the real library beside an executable, where
// setup puts it under build/.
func TestSetupAndLocateAgree(t *testing.T) {
	l, ok := host()
	if !ok {
		t.Skipf("SKIP: nothing is pinned for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	build, err := filepath.Abs(filepath.Join("..", "..", "..", "build"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(build, l.RelPath())); err != nil {
		t.Skipf("SKIP: no ONNX Runtime library under %s: run `make setup`", build)
	}
	got, err := Locate("", noEnv, filepath.Join(build, "dunlin"))
	if err != nil || !got.Pinned || got.SHA256 != l.SHA256 || got.Path != filepath.Join(build, l.RelPath()) {
		t.Errorf("got %+v, %v", got, err)
	}
}
