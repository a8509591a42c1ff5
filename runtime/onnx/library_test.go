//go:build cgo && (linux || darwin)

package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

func TestNewWithoutALibrarySaysWhatToDo(t *testing.T) {
	t.Setenv(ortlib.EnvPath, "")
	_, err := New(Config{}) // nothing lies beside a test binary
	if !errors.Is(err, modelrt.ErrNoRuntime) || !errors.Is(err, ortlib.ErrNotFound) {
		t.Fatalf("got %v, want ErrNoRuntime", err)
	}
	for _, part := range []string{"make setup", "DUNLIN_ONNXRUNTIME=/path/to/libonnxruntime.so", ortlib.Version} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestNewTakesTheLibraryFromTheEnvironment(t *testing.T) {
	library := onnxtest.Library(t)
	t.Setenv(ortlib.EnvPath, library)
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Info().LibraryPath; got != library {
		t.Errorf("library is %s, want %s", got, library)
	}
}

// TestLibraryThatIsNone names a file that is no shared library: New cannot
// know, the first load can.
func TestLibraryThatIsNone(t *testing.T) {
	load(t, silero62) // the process has its library
	path := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(path, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{LibraryPath: path})
	if err != nil {
		t.Fatal(err)
	}
	if info := e.Info(); info.Pinned || info.Version != "" || info.LibrarySHA256 == "" {
		t.Errorf("wrong info: %+v", info)
	}
	_, err = e.Load(t.Context(), "/model.onnx")
	if !errors.Is(err, modelrt.ErrNoRuntime) || !strings.Contains(err.Error(), "cannot open "+path+" too") {
		t.Errorf("got %v, want ErrNoRuntime: one library per process", err)
	}
}
