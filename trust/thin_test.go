package trust

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// From any older state, served by a node that has joined only now: nothing
// travels but what has changed since, and the receiver ends with the
// publisher's very bytes.
func TestThinFromAnyOlderState(t *testing.T) {
	s := newSigner(t, "acme")
	const states = 12
	var nodes []*Registry
	var wants []map[string]bool // models that each lacks
	for i := range states {
		model := fmt.Sprintf("model-%d", i%7)
		sign(t, s, manifest.Model("acme/"+model), fmt.Sprintf("1.%d.0", i))
		for _, lacks := range wants {
			lacks[roleName(model)] = true
		}
		if i == 8 {
			if err := s.Refresh(epoch.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		r := newRegistry(t, s.Root())
		catchUp(t, r, s.Fingerprint(), s.Update)
		nodes, wants = append(nodes, r), append(wants, map[string]bool{})
	}
	late := newRegistry(t, s.Root())
	catchUp(t, late, s.Fingerprint(), fromRegistry(nodes[states-1], s.Fingerprint()))
	for i, r := range nodes[:states-1] {
		u, ok, err := late.Update(s.Fingerprint(), r.Have(s.Fingerprint()))
		if err != nil || !ok || !u.Thin {
			t.Fatalf("state %d: no thin update: %t %v", i, ok, err)
		}
		if len(u.Roles) != len(wants[i]) {
			t.Errorf("state %d: %d roles travel, %d have changed", i, len(u.Roles), len(wants[i]))
		}
		for _, role := range u.Roles {
			if !wants[i][role.Name] {
				t.Errorf("state %d: role %s travels", i, role.Name)
			}
		}
		catchUp(t, r, s.Fingerprint(), fromRegistry(late, s.Fingerprint()))
		have, want := must(r.view(s.Fingerprint())), s.current()
		if !bytes.Equal(have.snapshot.data, want.snapshot.data) || !bytes.Equal(have.targets.data, want.targets.data) {
			t.Errorf("state %d: not the publisher's bytes", i)
		}
	}
}

// What an update costs must not follow the number of models, neither for a
// release nor for a new model.
func TestThinCostsNoMoreWithMoreModels(t *testing.T) {
	size := func(models int) (release, novel int) {
		s := newSigner(t, "acme")
		for i := range models {
			sign(t, s, manifest.Model(fmt.Sprintf("acme/model-%03d", i)), "1.0.0")
		}
		before := s.Have()
		sign(t, s, "acme/model-000", "1.1.0")
		u, _ := s.Update(before)
		before = s.Have()
		sign(t, s, "acme/model-xyz", "1.0.0")
		n, _ := s.Update(before)
		return len(must(u.Encode())), len(must(n.Encode()))
	}
	fewRelease, fewNovel := size(3)
	manyRelease, manyNovel := size(60)
	// More digits in versions of snapshot and timestamp, and nothing else.
	if manyRelease > fewRelease+8 || manyNovel > fewNovel+8 {
		t.Errorf("with 3 models a release takes %d bytes and a new model %d, with 60 models %d and %d", fewRelease, fewNovel, manyRelease, manyNovel)
	}
}

// Fields that TUF leaves to the publisher, entries of withdrawn models and a
// list in another order than ours: all arrive, at worst whole.
func TestThinOfAnotherRepository(t *testing.T) {
	repo := newRepo(t)
	repo.extra = map[string]extraEntry{"m-gone.json": {[]byte("gone"), 3}}
	for i := range 4 {
		repo.model(fmt.Sprintf("b-%d", i)).release("1.0.0", 1, "x")
	}
	server, client := newRegistry(t, repo.update().Roots[0]), newRegistry(t, repo.roots[0])
	fp := repo.fingerprint()
	step := func(wantWhole bool) {
		t.Helper()
		must(server.Apply(fp, repo.update()))
		u, _, err := server.Update(fp, client.Have(fp))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Apply(fp, u)
		if errors.Is(err, ErrPartial) != wantWhole || Hostile(err) {
			t.Fatalf("thin update: %v", err)
		}
		if err != nil {
			catchUp(t, client, fp, func(Have) (Update, bool) {
				u, ok, _ := server.Update(fp, Have{Root: client.Have(fp).Root})
				return u, ok
			})
		}
		if got, want := client.Have(fp), server.Have(fp); got != want {
			t.Fatalf("client has %+v, server %+v", got, want)
		}
	}
	step(false)
	repo.models["b-2"].release("1.1.0", 2, "y")
	repo.bump(roleName("b-2"))
	repo.extra["m-gone.json"] = extraEntry{[]byte("gone again"), 4}
	step(false)
	repo.model("c").release("1.0.0", 1, "x")
	repo.bump("targets")
	step(false) // sorts behind the others
	repo.model("a").release("1.0.0", 1, "x")
	repo.bump("targets")
	step(true) // sorts before them
}

// A publisher that signed two contents under one version and went on with one
// of them: who holds the other one asks for everything, and blames nobody.
func TestPartialAcrossAContradiction(t *testing.T) {
	dir, twinDir := t.TempDir(), t.TempDir()
	s := must(CreatePublisher(dir+"/acme", "acme", epoch))
	sign(t, s, "acme/vad", "1.0.0")
	sign(t, s, "acme/asr", "1.0.0")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	must(0, os.CopyFS(twinDir+"/acme", os.DirFS(dir+"/acme")))
	for name, mode := range map[string]os.FileMode{"": 0o700, keyFile: 0o600, signerFile: 0o600} {
		must(0, os.Chmod(twinDir+"/acme/"+name, mode))
	}
	s, twin := must(OpenSigner(dir+"/acme")), must(OpenSigner(twinDir+"/acme"))
	defer s.Close()
	defer twin.Close()
	r := newRegistry(t, s.Root())
	sign(t, twin, "acme/vad", "1.1.0")
	catchUp(t, r, s.Fingerprint(), twin.Update)
	sign(t, s, "acme/asr", "2.0.0")
	sign(t, s, "acme/vad", "1.2.0") // the same sequence as 1.1.0 there
	sign(t, s, "acme/vad", "1.3.0")
	u, _ := s.Update(r.Have(s.Fingerprint()))
	_, err := r.Apply(s.Fingerprint(), u)
	if !errors.Is(err, ErrPartial) || Hostile(err) {
		t.Fatalf("partial update over another past: %v", err)
	}
	u, _ = s.Update(Have{Root: 1})
	if _, err = r.Apply(s.Fingerprint(), u); !errors.Is(err, ErrEquivocation) {
		t.Fatalf("whole update over another past: %v", err)
	}
}

// Filling in never yields more than a document may have, and what was thinned
// out comes back.
func FuzzFill(f *testing.F) {
	s := newSigner(f, "acme")
	sign(f, s, "acme/vad", "1.0.0")
	held := s.current()
	sign(f, s, "acme/asr", "1.0.0")
	u, _ := s.Update(held.have())
	f.Add(u.Snapshot, u.Targets)
	f.Add(s.current().snapshot.data, s.current().targets.data)
	f.Add([]byte(`{"signatures":[],"signed":{"meta":{"a":[],"b":{"c":1}}}}`), []byte(`{"signatures":[],"signed":{"delegations":{"roles":[{},{"name":1},""]}}}`))
	f.Add([]byte(`{"signatures":[],"signed":{"meta":"x"}}`), []byte(`{"signatures":[],"signed":{"delegations":{"roles":7}}}`))
	f.Fuzz(func(t *testing.T, snapshot, targets []byte) {
		whole, err := fillSnapshot(snapshot, held.snapshot.data, entriesOf(u.Targets, u.Roles))
		if err == nil && len(whole) > MaxDocumentBytes {
			t.Fatalf("snapshot of %d bytes", len(whole))
		}
		if _, err := splitCanonical(snapshot); err != nil && whole != nil {
			t.Fatalf("%q was filled in", snapshot)
		}
		whole, err = fillTargets(targets, held.targets.data)
		if err == nil && len(whole) > max(MaxDocumentBytes, len(targets)) {
			t.Fatalf("targets of %d bytes", len(whole))
		}
		n, err := advance(held, Update{Publisher: held.publisher, Timestamp: u.Timestamp, Snapshot: snapshot, Targets: targets, Roles: u.Roles, Thin: true}, time.Time{})
		if err == nil && !bytes.Equal(n.snapshot.data, s.current().snapshot.data) {
			t.Fatalf("believed: %q", n.snapshot.data)
		}
	})
}
