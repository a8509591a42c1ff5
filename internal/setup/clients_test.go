package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everything that pip is to install is pinned by digest.
func TestClientsArePinned(t *testing.T) {
	packages := 0
	for entry := range strings.SplitSeq(string(requirements), "\n") {
		if strings.Contains(entry, "==") && !strings.HasPrefix(entry, "#") {
			if packages++; !strings.HasSuffix(entry, `\`) {
				t.Errorf("%s has no digest", entry)
			}
		}
	}
	if packages < 10 {
		t.Errorf("%d packages", packages)
	}
}

func TestClientsInPlace(t *testing.T) {
	build := t.TempDir()
	var out, errs bytes.Buffer
	arguments := []string{"-clients", "-python", "no-such-python", "-build", build}
	if err := run(t.Context(), arguments, &out, &errs); err == nil || !strings.Contains(err.Error(), "no-such-python") {
		t.Errorf("without Python: %v", err)
	}
	dir := filepath.Join(build, clientsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, doneName), []byte(sum(requirements)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), arguments, &out, &errs); err != nil || !strings.Contains(out.String(), "are in place") {
		t.Errorf("what is in place is made again: %v %s", err, out.String())
	}
}
