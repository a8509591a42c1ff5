package trust

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// At each step of writing a state file a power cut leaves the folder in one of
// these forms (see durable.WriteFile); each of them opens as the old state or
// the new one, and goes on from there.
func TestCrashWhileWriting(t *testing.T) {
	s := newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	dir := t.TempDir()
	r := openRegistry(t, dir, nil)
	must(r.Pin(s.Root()))
	catchUp(t, r, s.Fingerprint(), s.Update)
	path := r.path(s.Fingerprint())
	old := must(os.ReadFile(path))
	sign(t, s, "acme/vad", "2")
	catchUp(t, r, s.Fingerprint(), s.Update)
	written := must(os.ReadFile(path))
	_ = r.Close()
	if bytes.Equal(old, written) {
		t.Fatal("nothing was written")
	}
	name := s.Fingerprint().String() + stateSuffix
	temporary := name + ".dunlin-tmp-1"
	for _, tc := range []struct {
		step    string
		files   map[string][]byte
		version string
	}{
		{"temporary file made", map[string][]byte{name: old, temporary: {}}, "1"},
		{"half written", map[string][]byte{name: old, temporary: written[:len(written)/2]}, "1"},
		{"written, not renamed", map[string][]byte{name: old, temporary: written}, "1"},
		{"renamed", map[string][]byte{name: written}, "2"},
	} {
		dir := t.TempDir()
		for name, data := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := openRegistry(t, dir, nil)
		if latest, ok := r.Latest("acme/vad"); !ok || latest.Version != tc.version {
			t.Errorf("%s: %+v %t, want version %s", tc.step, latest, ok, tc.version)
		}
		catchUp(t, r, s.Fingerprint(), s.Update)
		if latest, _ := r.Latest("acme/vad"); latest.Version != "2" {
			t.Errorf("%s: does not go on: %+v", tc.step, latest)
		}
		if n := must(durable.RemoveTemporary(dir)); n != 0 {
			t.Errorf("%s: %d temporary files left", tc.step, n)
		}
	}
}

// A full or failing disk: the update is refused, memory and disk agree.
func TestDiskThatFails(t *testing.T) {
	s := newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	r := newRegistry(t, s.Root())
	catchUp(t, r, s.Fingerprint(), s.Update)
	sign(t, s, "acme/vad", "2")
	good := r.config.Dir
	r.config.Dir = filepath.Join(good, "gone")
	u, _ := s.Update(r.Have(s.Fingerprint()))
	if changed, err := r.Apply(s.Fingerprint(), u); changed || err == nil {
		t.Errorf("%t %v, want an error", changed, err)
	}
	if latest, _ := r.Latest("acme/vad"); latest.Version != "1" {
		t.Errorf("believed without being durable: %+v", latest)
	}
	r.config.Dir = good
	must(r.Apply(s.Fingerprint(), u))
}
