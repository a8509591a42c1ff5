package trust

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestPublishAndFollow(t *testing.T) {
	s := newSigner(t, "acme")
	first := sign(t, s, "acme/vad", "6.1.0")
	r := newRegistry(t, s.Root())
	if !catchUp(t, r, s.Fingerprint(), s.Update) {
		t.Fatal("nothing to catch up with")
	}
	second := sign(t, s, "acme/vad", "6.2.0")
	if verdict, err := r.CheckHead(s.Head()); verdict != HeadNew || err != nil {
		t.Fatalf("head is %s (%v), want new", verdict, err)
	}
	catchUp(t, r, s.Fingerprint(), s.Update)
	if verdict, err := r.CheckHead(s.Head()); verdict != HeadSame || err != nil {
		t.Fatalf("head is %s (%v), want same", verdict, err)
	}
	latest, ok := r.Latest("acme/vad")
	if !ok || latest != second {
		t.Errorf("latest is %+v, want %+v", latest, second)
	}
	if first.Sequence != 1 || second.Sequence != 2 || latest.Manifest != block("acme/vad6.2.0") {
		t.Errorf("sequences %d, %d; manifest %s", first.Sequence, second.Sequence, latest.Manifest)
	}
	if got := r.Models(); len(got) != 1 || got[0] != "acme/vad" {
		t.Errorf("models %v", got)
	}
	if p, ok := r.Publisher("acme"); !ok || p.Models != 1 || p.Root != 1 || p.Timestamp != 3 || p.Stale {
		t.Errorf("publisher %+v", p)
	}
	if _, ok := r.Latest("acme/other"); ok {
		t.Error("a model nobody signed for has a release")
	}
}

func TestStateSurvivesRestart(t *testing.T) {
	s := newSigner(t, "acme")
	dir := t.TempDir()
	r := openRegistry(t, dir, nil)
	must(r.Pin(s.Root()))
	for _, v := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		sign(t, s, "acme/vad", v)
		catchUp(t, r, s.Fingerprint(), s.Update)
	}
	head, want := r.Heads(), r.Releases("acme/vad")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again := openRegistry(t, dir, nil)
	if got := again.Heads(); len(got) != 1 || !bytes.Equal(got[0].Timestamp, head[0].Timestamp) {
		t.Error("the head is another one after a restart")
	}
	got := again.Releases("acme/vad")
	if len(got) != KeptReleases || len(want) != KeptReleases || got[0] != want[0] {
		t.Errorf("releases after restart: %v, want %v", got, want)
	}
	// Release 3 was listed once and has left the metadata since.
	if old, ok := again.Release("acme/vad", "3"); !ok || old.Sequence != 3 || old.Manifest != block("acme/vad3") {
		t.Errorf("remembered release 3: %+v, %t", old, ok)
	}
}

func TestGoingBackIsANewSequence(t *testing.T) {
	s := newSigner(t, "acme")
	r := newRegistry(t, s.Root())
	old := sign(t, s, "acme/vad", "6.1.0")
	sign(t, s, "acme/vad", "6.2.0")
	catchUp(t, r, s.Fingerprint(), s.Update)
	back := sign(t, s, "acme/vad", "6.1.0")
	catchUp(t, r, s.Fingerprint(), s.Update)
	latest, _ := r.Latest("acme/vad")
	if latest != back || latest.Manifest != old.Manifest || latest.Version != "6.1.0" || latest.Sequence != 3 {
		t.Errorf("latest %+v, want 6.1.0 again with sequence 3", latest)
	}
}

func TestMinSafeSequenceRevokes(t *testing.T) {
	s := newSigner(t, "acme")
	r := newRegistry(t, s.Root())
	for _, v := range []string{"1", "2", "3"} {
		sign(t, s, "acme/vad", v)
	}
	catchUp(t, r, s.Fingerprint(), s.Update)
	_, err := s.Sign(SignRequest{Model: "acme/vad", Version: "4", Manifest: block("4"), Size: 1, MinSafeSequence: 3, Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	sign(t, s, "acme/vad", "5")
	catchUp(t, r, s.Fingerprint(), s.Update)
	for version, revoked := range map[string]bool{"2": true, "3": false, "4": false, "5": false} {
		if got, ok := r.Release("acme/vad", version); !ok || got.Revoked != revoked || got.MinSafeSequence != 3 {
			t.Errorf("version %s: %+v %t, want revoked=%t", version, got, ok, revoked)
		}
	}
	for _, tc := range []struct {
		name     string
		min      uint64
		conflict bool
	}{{"lowered", 2, true}, {"beyond itself", 7, true}, {"itself", 6, false}} {
		_, err := s.Sign(SignRequest{Model: "acme/vad", Version: "6", Manifest: block("6"), Size: 1, MinSafeSequence: tc.min, Now: epoch})
		if errors.Is(err, ErrConflict) != tc.conflict {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	catchUp(t, r, s.Fingerprint(), s.Update)
	if latest, ok := r.Latest("acme/vad"); !ok || latest.Version != "6" {
		t.Errorf("latest %+v %t", latest, ok)
	}
}

func TestPinByFingerprintOnly(t *testing.T) {
	s, other := newSigner(t, "acme"), newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	r := newRegistry(t)
	must(r.PinFingerprint("", s.Fingerprint()))
	if verdict, err := r.CheckHead(s.Head()); verdict != HeadNeedsRoot || err != nil {
		t.Errorf("head is %s (%v), want needs_root", verdict, err)
	}
	u, _ := s.Update(Have{})
	forged, _ := other.Update(Have{})
	forged.Publisher = s.Fingerprint()
	if _, err := r.Apply(s.Fingerprint(), forged); !errors.Is(err, ErrForged) || !Hostile(err) {
		t.Errorf("another publisher's root: %v, want ErrForged", err)
	}
	if changed, err := r.Apply(s.Fingerprint(), u); err != nil || !changed {
		t.Fatalf("%t %v", changed, err)
	}
	if p, ok := r.Publisher("acme"); !ok || p.Fingerprint != s.Fingerprint() {
		t.Errorf("name not learned: %+v", p)
	}
}

func TestOnePublisherForEachName(t *testing.T) {
	a, b := newSigner(t, "acme"), newSigner(t, "acme")
	r := newRegistry(t, a.Root())
	must(r.Pin(a.Root())) // again is fine
	must(r.PinFingerprint("acme", a.Fingerprint()))
	if _, err := r.Pin(b.Root()); !errors.Is(err, ErrPinned) || !strings.Contains(err.Error(), a.Fingerprint().String()) {
		t.Errorf("second publisher of a name: %v", err)
	}
	if _, err := r.PinFingerprint("acme", b.Fingerprint()); !errors.Is(err, ErrPinned) {
		t.Errorf("second publisher of a name by fingerprint: %v", err)
	}
	// A nameless pin learns its name late; that must not take it over.
	must(r.PinFingerprint("", b.Fingerprint()))
	u, _ := b.Update(Have{})
	if _, err := r.Apply(b.Fingerprint(), u); !errors.Is(err, ErrPinned) {
		t.Errorf("name learned from a root: %v, want ErrPinned", err)
	}
	must(r.PinFingerprint("other", SumFingerprint([]byte("x"))))
	if _, err := r.PinFingerprint("another", SumFingerprint([]byte("x"))); !errors.Is(err, ErrPinned) {
		t.Errorf("second name of a publisher: %v", err)
	}
	if err := r.Unpin("acme"); err != nil {
		t.Fatal(err)
	}
	if changed, err := r.Apply(b.Fingerprint(), u); err != nil || !changed {
		t.Errorf("after unpinning: %t %v", changed, err)
	}
	if err := r.Unpin("nobody"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestPinRefusesBadRoots(t *testing.T) {
	s := newSigner(t, "acme")
	rotated := newRepo(t)
	rotated.rotate("a")
	second := rotated.rotate("a")
	flipped := bytes.Replace(s.Root(), []byte(`"x-dunlin-publisher":"acme"`), []byte(`"x-dunlin-publisher":"acmf"`), 1)
	for name, root := range map[string][]byte{
		"empty":         nil,
		"no JSON":       []byte("hello"),
		"a timestamp":   s.Head().Timestamp,
		"changed":       flipped,
		"version 2":     second,
		"white space":   append(bytes.Clone(s.Root()), '\n'),
		"huge":          bytes.Repeat([]byte("["), MaxRootBytes+1),
		"deeply nested": []byte(`{"signatures":` + strings.Repeat("[", 60000)),
	} {
		if _, err := newRegistry(t).Pin(root); !Hostile(err) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

func TestWrongNames(t *testing.T) {
	s := newSigner(t, "acme")
	_, err := s.Sign(SignRequest{Model: "other/vad", Version: "1", Manifest: block("x"), Size: 1, Now: epoch})
	if !errors.Is(err, ErrConflict) {
		t.Errorf("a model of another publisher: %v", err)
	}
	for _, model := range []manifest.Model{"acme/targets", "acme/root", "acme/snapshot", "acme/timestamp"} {
		sign(t, s, model, "1") // TUF's own role names are free for models
	}
	r := newRegistry(t, s.Root())
	catchUp(t, r, s.Fingerprint(), s.Update)
	if got := r.Models(); len(got) != 4 {
		t.Errorf("models %v", got)
	}
	if _, err := CreatePublisher(t.TempDir(), "../x", epoch); !errors.Is(err, manifest.ErrName) {
		t.Errorf("%v", err)
	}
	if _, err := r.PinFingerprint("A B", s.Fingerprint()); !errors.Is(err, manifest.ErrName) {
		t.Errorf("%v", err)
	}
	if _, err := r.Apply(SumFingerprint(nil), Update{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestCorruptStateIsNamedAndOthersWork(t *testing.T) {
	good, bad := newSigner(t, "good"), newSigner(t, "bad")
	sign(t, good, "good/m", "1")
	sign(t, bad, "bad/m", "1")
	dir := t.TempDir()
	r := openRegistry(t, dir, nil)
	for _, s := range []*Signer{good, bad} {
		must(r.Pin(s.Root()))
		catchUp(t, r, s.Fingerprint(), s.Update)
	}
	_ = r.Close()
	path := filepath.Join(dir, bad.Fingerprint().String()+stateSuffix)
	whole := must(os.ReadFile(path))
	for name, data := range map[string][]byte{
		"empty": {}, "cut": whole[:len(whole)/2], "flipped": append(append(bytes.Clone(whole[:900]), whole[900]^1), whole[901:]...), "garbage": []byte("garbage"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := openRegistry(t, dir, nil)
		if _, ok := r.Latest("good/m"); !ok {
			t.Errorf("%s: the other publisher is lost too", name)
		}
		if _, err := r.CheckHead(bad.Head()); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "unpin") {
			t.Errorf("%s: %v, want the file and what to do", name, err)
		}
		if _, err := r.Pin(bad.Root()); !errors.Is(err, ErrState) {
			t.Errorf("%s: pinning over a corrupt file: %v", name, err)
		}
		if list := r.Publishers(); len(list) != 2 || list[0].Problem == nil {
			t.Errorf("%s: %+v", name, list)
		}
		_ = r.Close()
	}
	r = openRegistry(t, dir, nil)
	if err := r.Unpin(bad.Fingerprint().String()); err != nil {
		t.Fatal(err)
	}
	must(r.Pin(bad.Root()))
	catchUp(t, r, bad.Fingerprint(), bad.Update)
}

// A state file that somebody wrote with a fresh checksum is still verified.
func TestTamperedStateIsNotBelieved(t *testing.T) {
	s := newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	v := *s.current()
	snapshot := *v.snapshot
	snapshot.data = bytes.Replace(snapshot.data, []byte(`"version":2`), []byte(`"version":3`), 1)
	v.snapshot = &snapshot
	path := filepath.Join(t.TempDir(), v.publisher.String()+stateSuffix)
	if err := v.save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := load(path); !errors.Is(err, ErrState) {
		t.Errorf("%v, want ErrState", err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	r := openRegistry(t, dir, nil)
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	_ = r.Close()
	_ = openRegistry(t, dir, nil).Close()
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"no folder": {}, "policy": {Dir: t.TempDir(), Policy: "lax"}, "grace": {Dir: t.TempDir(), Grace: -time.Second},
	} {
		if _, err := Open(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
