package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

func TestWriteFileReplacesWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"first, and longer than the second", "second", ""} {
		if err := durable.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != content {
			t.Errorf("read %q, want %q", got, content)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v, want 0600", info.Mode().Perm())
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("folder holds %v (%v), want only the file", left, err)
	}
}

func TestWriteFileKeepsOldContentOnFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "child"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Fatal("a folder that is not empty was replaced by a file")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("folder holds %v (%v), want only what was there before", left, err)
	}
}

func TestMkdirAllRefusesFileInTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := durable.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.MkdirAll(filepath.Join(dir, "file", "c"), 0o700); err == nil {
		t.Error("made a folder below a file")
	}
}

func TestRemoveTemporaryTakesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"state", "state.dunlin-tmp-123", "other.dunlin-tmp-9"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := durable.RemoveTemporary(dir); err != nil || n != 2 {
		t.Errorf("removed %d (%v), want 2", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err != nil {
		t.Errorf("the file itself is gone: %v", err)
	}
}
