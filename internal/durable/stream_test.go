package durable_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

func TestStreamReplacesWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, parts := range [][]string{{"first, ", "and longer ", "than the second"}, {"second"}, nil} {
		want := ""
		err := durable.Stream(path, 0o600, func(w io.Writer) error {
			for _, part := range parts {
				want += part
				if _, err := io.WriteString(w, part); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
		only(t, path, 0o600)
	}
}

// Whoever looks at the path while the content comes sees the old file, and
// still does when the writer gives up.
func TestStreamKeepsOldContentOnFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := durable.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := durable.Stream(path, 0o600, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half of the n"); err != nil {
			return err
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
			t.Errorf("in the middle there is %q, %v", got, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("%v, want the writer's error", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("after a failure there is %q, %v", got, err)
	}
	only(t, path, 0o640)
}

func TestStreamReportsWhereItCannotWrite(t *testing.T) {
	called := false
	err := durable.Stream(filepath.Join(t.TempDir(), "none", "file"), 0o600, func(io.Writer) error {
		called = true
		return nil
	})
	if !errors.Is(err, os.ErrNotExist) || called {
		t.Errorf("%v, called %v", err, called)
	}
}

// only checks that a file of these permissions is alone in its folder.
func only(t *testing.T, path string, perm os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != perm {
		t.Errorf("permissions %v, want %v", info.Mode().Perm(), perm)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("folder holds %v (%v), want only the file", left, err)
	}
}
