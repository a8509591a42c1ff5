package trust

import (
	"errors"
	"os"
	"testing"
)

// backUp copies a folder of keys or state as it is now, for its owner only.
func backUp(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir() + "/backup"
	must(0, os.CopyFS(to, os.DirFS(from)))
	must(0, os.Chmod(to, 0o700))
	for _, e := range must(os.ReadDir(to)) {
		if !e.IsDir() {
			must(0, os.Chmod(to+"/"+e.Name(), 0o600))
		}
	}
	return to
}

// A publisher that lost its machine goes on with a backup of its keys on
// another one: refused before it has asked the mesh, then without using a
// version or sequence twice.
func TestPublisherRestoredElsewhere(t *testing.T) {
	dir := t.TempDir() + "/acme"
	s := must(CreatePublisher(dir, "acme", epoch))
	must(0, s.Settle("office"))
	request := func(version, seat string) SignRequest {
		return SignRequest{Model: "acme/vad", Version: version, Manifest: block(version), Size: 700, Seat: seat, Now: epoch}
	}
	must(s.Sign(request("1.0.0", "office")))
	must(0, s.Close())
	backup := backUp(t, dir)
	s = must(OpenSigner(dir))
	must(s.Sign(request("1.1.0", "office"))) // after the backup, and spread
	mesh := newRegistry(t, s.Root())
	catchUp(t, mesh, s.Fingerprint(), s.Update)
	must(0, s.Close())

	restored := must(OpenSigner(backup))
	defer restored.Close()
	if got := restored.Seat(); got != "office" {
		t.Errorf("seat is %q", got)
	}
	if _, err := restored.Sign(request("1.2.0", "new machine")); !errors.Is(err, ErrMoved) {
		t.Fatalf("signed without knowing what was signed last: %v", err)
	}
	u, ok, err := mesh.Update(restored.Fingerprint(), restored.Have())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if changed, err := restored.Adopt(u); err != nil || !changed {
		t.Fatal(changed, err)
	}
	must(0, restored.Settle("new machine"))
	if _, err := restored.Sign(SignRequest{Model: "acme/vad", Version: "1.1.0", Manifest: block("other"), Size: 700, Seat: "new machine", Now: epoch}); !errors.Is(err, ErrConflict) {
		t.Fatalf("1.1.0 signed with another content: %v", err)
	}
	if release := must(restored.Sign(request("1.2.0", "new machine"))); release.Sequence != 3 {
		t.Errorf("sequence %d, want 3", release.Sequence)
	}
	catchUp(t, mesh, restored.Fingerprint(), restored.Update)
	if evidence := must(mesh.Evidence()); len(evidence) != 0 {
		t.Errorf("%d pieces of evidence against the publisher", len(evidence))
	}
	must(0, restored.Close())
	if got := must(OpenSigner(backup)); got.Seat() != "new machine" {
		t.Errorf("seat is %q after a restart", got.Seat())
	} else {
		must(0, got.Close())
	}
}
