package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// attacked is a registry that follows a hand-made publisher at its second
// update, with the first one at hand to be replayed.
type attacked struct {
	*Registry
	repo       *repo
	fp         Fingerprint
	old, first Update // before; now
}

func newAttacked(t testing.TB) *attacked {
	t.Helper()
	repo := newRepo(t)
	repo.model("vad").release("1", 1, "one")
	repo.model("asr").release("1", 1, "asr one")
	a := &attacked{repo: repo, old: repo.update()}
	a.fp = repo.fingerprint()
	a.Registry = newRegistry(t, repo.roots[0])
	must(a.Apply(a.fp, a.old))
	repo.models["vad"].release("2", 2, "two")
	repo.bump("m-vad")
	a.first = repo.update()
	must(a.Apply(a.fp, a.first))
	return a
}

// unmoved fails the test if anything that is believed has changed.
func (a *attacked) unmoved(t *testing.T) {
	t.Helper()
	if latest, ok := a.Latest("acme/vad"); !ok || latest.Version != "2" || latest.Manifest != block("two") {
		t.Errorf("latest is %+v (%t), want version 2 as before", latest, ok)
	}
	if h := a.Heads(); len(h) != 1 || !bytes.Equal(h[0].Timestamp, a.first.Timestamp) {
		t.Error("the head has changed")
	}
}

// Every attack is refused with its own error, Apply and CheckHead alike, and
// leaves no trace.
func TestAttacks(t *testing.T) {
	flip := func(doc []byte) []byte { // one bit inside the signature
		at := bytes.Index(doc, []byte(`"sig":"`)) + 10
		out := bytes.Clone(doc)
		out[at] = map[bool]byte{true: '1', false: '0'}[out[at] == '0']
		return out
	}
	next := func(a *attacked) { // a third update
		a.repo.models["vad"].release("3", 3, "three")
		a.repo.bump("m-vad")
	}
	for name, tc := range map[string]struct {
		update func(a *attacked) Update
		want   error
		head   error // what CheckHead says of the timestamp; nil: no error
	}{
		"forged timestamp": {func(a *attacked) Update { next(a); u := a.repo.update(); u.Timestamp = flip(u.Timestamp); return u }, ErrForged, ErrForged},
		"forged snapshot":  {func(a *attacked) Update { next(a); u := a.repo.update(); u.Snapshot = flip(u.Snapshot); return u }, ErrMismatch, nil},
		"forged snapshot, named by the timestamp": {func(a *attacked) Update {
			next(a)
			u := a.repo.update()
			u.Snapshot = flip(u.Snapshot)
			u.Timestamp = a.repo.timestamp(u.Snapshot)
			return u
		}, ErrForged, nil},
		"unsigned": {func(a *attacked) Update { next(a); a.repo.signWith["timestamp"] = []string{}; return a.repo.update() }, ErrMalformed, ErrMalformed},
		"wrong key for the timestamp": {func(a *attacked) Update {
			next(a)
			a.repo.signWith["timestamp"] = []string{"b"}
			return a.repo.update()
		}, ErrForged, ErrForged},
		"wrong key for a model":                          {func(a *attacked) Update { next(a); a.repo.signWith["m-vad"] = []string{"b"}; return a.repo.update() }, ErrForged, nil},
		"key confusion: other key under the right label": {func(a *attacked) Update { next(a); a.repo.keys["a"] = a.repo.keys["b"]; return a.repo.update() }, ErrForged, ErrForged},
		"replay": {func(a *attacked) Update { return a.old }, ErrRollback, nil},
		"old snapshot, new timestamp": {func(a *attacked) Update {
			a.repo.version["timestamp"]++
			a.repo.version["snapshot"]--
			return a.repo.update()
		}, ErrRollback, nil},
		"role rolled back":        {func(a *attacked) Update { a.repo.bump(); a.repo.version["m-vad"]--; return a.repo.update() }, ErrRollback, nil},
		"targets of version 0":    {func(a *attacked) Update { a.repo.bump(); a.repo.version["targets"]--; return a.repo.update() }, ErrMalformed, nil},
		"mix and match: snapshot": {func(a *attacked) Update { next(a); u := a.repo.update(); u.Snapshot = a.first.Snapshot; return u }, ErrMismatch, nil},
		"mix and match: role":     {func(a *attacked) Update { next(a); u := a.repo.update(); u.Roles = a.first.Roles; return u }, ErrMismatch, nil},
		"mix and match: roles swapped": {func(a *attacked) Update {
			next(a)
			u := a.repo.update()
			u.Roles[0].Data, u.Roles[1].Data = u.Roles[1].Data, u.Roles[0].Data
			return u
		}, ErrMismatch, nil},
		"role missing": {func(a *attacked) Update { next(a); u := a.repo.update(); u.Roles = nil; return u }, ErrMismatch, nil},
		"role that nobody delegated": {func(a *attacked) Update {
			next(a)
			u := a.repo.update()
			u.Roles = append(u.Roles, Role{"m-zzz", u.Roles[0].Data})
			return u
		}, ErrMismatch, nil},
		"role without a model": {func(a *attacked) Update { next(a); u := a.repo.update(); u.Roles[0].Name = "m-.."; return u }, ErrMalformed, nil},
		"another publisher's update": {func(a *attacked) Update {
			other := newRepo(a.repo.t)
			other.keys["a"] = other.keys["b"]
			return other.update()
		}, ErrMismatch, ErrForged},
		"sequence that falls": {func(a *attacked) Update {
			a.repo.models["vad"].releases = map[string]string{}
			a.repo.models["vad"].release("1", 1, "one")
			a.repo.bump("m-vad")
			return a.repo.update()
		}, ErrRollback, nil},
		"least safe sequence that falls": {func(a *attacked) Update {
			m := a.repo.models["vad"]
			m.release("3", 3, "three")
			m.releases["3"] = strings.Replace(m.releases["3"], `,"seq`, `,"min_safe":2,"seq`, 1)
			a.repo.bump("m-vad")
			a.first = a.repo.update()
			must(a.Apply(a.fp, a.first))
			a.old = a.first
			m.release("3", 3, "three")
			a.repo.bump("m-vad")
			return a.repo.update()
		}, ErrRollback, nil},
		"two releases with one sequence": {func(a *attacked) Update {
			a.repo.models["vad"].release("3", 2, "x")
			a.repo.bump("m-vad")
			return a.repo.update()
		}, ErrMalformed, nil},
		"target of another model": {func(a *attacked) Update {
			a.repo.models["vad"].release("../asr/3", 3, "x")
			a.repo.bump("m-vad")
			return a.repo.update()
		}, ErrMalformed, nil},
		"custom fields missing": {func(a *attacked) Update {
			a.repo.models["vad"].releases["2"] = `{}`
			a.repo.bump("m-vad")
			return a.repo.update()
		}, ErrMalformed, nil},
		"decorated on the way": {func(a *attacked) Update {
			next(a)
			u := a.repo.update()
			extra := `{"keyid":"z","sig":"` + strings.Repeat("00", 64) + `"}]`
			u.Timestamp = bytes.Replace(u.Timestamp, []byte(`"}]`), []byte(`"},`+extra), 1)
			return u
		}, ErrForged, ErrForged},
		"one key counted twice": {func(a *attacked) Update {
			next(a)
			a.repo.signWith["timestamp"] = []string{"a", "a"}
			return a.repo.update()
		}, ErrMalformed, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttacked(t)
			u := tc.update(a)
			u.Publisher = a.fp
			if name == "another publisher's update" {
				u.Publisher = SumFingerprint([]byte("other"))
			}
			if verdict, err := a.CheckHead(Head{Publisher: a.fp, Root: 1, Timestamp: u.Timestamp}); !errors.Is(err, tc.head) {
				t.Errorf("head: %s %v, want %v", verdict, err, tc.head)
			}
			changed, err := a.Apply(a.fp, u)
			if !errors.Is(err, tc.want) || changed {
				t.Errorf("changed %t, error %v, want %v", changed, err, tc.want)
			}
			if name != "least safe sequence that falls" {
				a.unmoved(t)
			}
			if found := must(a.Evidence()); len(found) != 0 {
				t.Errorf("evidence against an honest publisher: %+v", found)
			}
		})
	}
}

// Freezing is replaying the newest for ever: nothing changes, nobody is to
// blame, and time shows it as stale.
func TestFrozen(t *testing.T) {
	a := newAttacked(t)
	changed, err := a.Apply(a.fp, a.first)
	if changed || err != nil {
		t.Errorf("%t %v, want no change", changed, err)
	}
	if verdict, err := a.CheckHead(Head{a.fp, 1, a.old.Timestamp}); verdict != HeadOld || err != nil {
		t.Errorf("replayed head: %s %v, want old", verdict, err)
	}
	if verdict, err := a.CheckHead(Head{a.fp, 9, a.old.Timestamp}); verdict != HeadNeedsRoot || err != nil {
		t.Errorf("head that claims a newer root: %s %v", verdict, err)
	}
	if verdict, err := a.CheckHead(Head{SumFingerprint(nil), 1, a.old.Timestamp}); verdict != HeadUnknown || err != nil {
		t.Errorf("head of a stranger: %s %v", verdict, err)
	}
	a.unmoved(t)
}

// Two signed contents under one version are refused and kept, whichever role.
func TestEquivocation(t *testing.T) {
	for name, tc := range map[string]struct {
		role   string
		update func(a *attacked) Update
	}{
		"timestamp": {"timestamp", func(a *attacked) Update { a.repo.expires = a.repo.expires.Add(1e9); return a.repo.update() }},
		"snapshot": {"snapshot", func(a *attacked) Update {
			a.repo.expires = a.repo.expires.Add(1e9)
			a.repo.version["timestamp"]++
			return a.repo.update()
		}},
		"targets": {"targets", func(a *attacked) Update {
			a.repo.model("new").release("1", 1, "x")
			a.repo.bump()
			return a.repo.update()
		}},
		"role": {"m-vad", func(a *attacked) Update {
			a.repo.models["vad"].release("3", 3, "x")
			a.repo.bump()
			return a.repo.update()
		}},
		"version": {"m-vad", func(a *attacked) Update {
			a.repo.models["vad"].release("2", 3, "another manifest")
			a.repo.bump("m-vad")
			return a.repo.update()
		}},
		"sequence": {"m-vad", func(a *attacked) Update {
			delete(a.repo.models["vad"].releases, "2")
			a.repo.models["vad"].release("2b", 2, "x")
			a.repo.bump("m-vad")
			return a.repo.update()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttacked(t)
			u := tc.update(a)
			for range 2 { // evidence is kept once
				changed, err := a.Apply(a.fp, u)
				if !errors.Is(err, ErrEquivocation) || Hostile(err) || changed {
					t.Fatalf("%t %v, want ErrEquivocation that blames no peer", changed, err)
				}
			}
			a.unmoved(t)
			found := must(a.Evidence())
			if len(found) != 1 || found[0].Role != tc.role || found[0].Name != "acme" || found[0].Publisher != a.fp || !found[0].Seen.Equal(epoch) {
				t.Fatalf("evidence %+v", found)
			}
			if len(found[0].First) == 0 || len(found[0].Second) == 0 || bytes.Equal(found[0].First, found[0].Second) {
				t.Error("evidence without both documents")
			}
		})
	}
}

func TestEquivocatingHead(t *testing.T) {
	a := newAttacked(t)
	a.repo.expires = a.repo.expires.Add(1e9)
	verdict, err := a.CheckHead(Head{a.fp, 1, a.repo.update().Timestamp})
	if !errors.Is(err, ErrEquivocation) || Hostile(err) || verdict != HeadInvalid {
		t.Errorf("%s %v, want ErrEquivocation", verdict, err)
	}
	if found := must(a.Evidence()); len(found) != 1 || found[0].Role != "timestamp" {
		t.Errorf("evidence %+v", found)
	}
	// The publisher ends it by signing something newer.
	a.repo.expires = a.repo.expires.Add(-1e9)
	a.repo.bump()
	if _, err := a.Apply(a.fp, a.repo.update()); err != nil {
		t.Error(err)
	}
}

// A version that left the metadata long ago still names what it named.
func TestEquivocationWithTheDistantPast(t *testing.T) {
	repo := newRepo(t)
	m := repo.model("vad")
	r := newRegistry(t)
	for i := 1; i <= 10; i++ {
		clear(m.releases)
		m.release(fmt.Sprint(i), i, fmt.Sprint("content", i))
		u := repo.update()
		if i == 1 {
			must(r.Pin(repo.roots[0]))
		}
		must(r.Apply(u.Publisher, u))
		repo.bump("m-vad")
	}
	m.release("2", 11, "something else")
	u := repo.update()
	if _, err := r.Apply(u.Publisher, u); !errors.Is(err, ErrEquivocation) {
		t.Errorf("%v, want ErrEquivocation", err)
	}
	if found := must(r.Evidence()); len(found) != 1 || !strings.Contains(found[0].What, "version 2") {
		t.Errorf("evidence %+v", found)
	}
	m.release("2", 11, "content2")
	u = repo.update()
	if _, err := r.Apply(u.Publisher, u); err != nil {
		t.Errorf("going back to version 2: %v", err)
	}
}

// Changing any single byte of any document of an update is noticed.
func TestEveryByteCounts(t *testing.T) {
	a := newAttacked(t)
	a.repo.models["vad"].release("3", 3, "three")
	a.repo.bump("m-vad")
	u := a.repo.update()
	for _, doc := range []*[]byte{&u.Timestamp, &u.Snapshot, &u.Targets, &u.Roles[1].Data} {
		good := *doc
		for i := 0; i < len(good); i += 7 {
			*doc = bytes.Clone(good)
			(*doc)[i] ^= 1
			if changed, err := a.Apply(a.fp, u); changed || err == nil {
				t.Fatalf("byte %d of %.40s may be changed", i, good)
			}
		}
		*doc = good
	}
	a.unmoved(t)
	if changed, err := a.Apply(a.fp, u); !changed || err != nil {
		t.Error(changed, err)
	}
}
