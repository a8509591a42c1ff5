package trust

import (
	"errors"
	"testing"
)

// The formats allow what the commands will offer later: thresholds, rotation,
// delegation to a model's own key, withdrawal.

func TestTwoOfThreeRoot(t *testing.T) {
	for _, tc := range []struct {
		name    string
		signers []string
		want    error
	}{
		{"two", []string{"a", "b"}, nil},
		{"another two", []string{"c", "b"}, nil},
		{"three", []string{"a", "b", "c"}, nil},
		{"one", []string{"a"}, ErrForged},
		{"one and a stranger", []string{"a", "d"}, ErrForged},
		{"one twice", []string{"a", "a"}, ErrMalformed},
	} {
		repo := newRepo(t)
		repo.roleKeys["root"], repo.threshold["root"] = []string{"a", "b", "c"}, 2
		root := repo.rotate(tc.signers...)
		if _, err := newRegistry(t).Pin(root); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestThresholdOfTimestamp(t *testing.T) {
	repo := newRepo(t)
	repo.roleKeys["timestamp"], repo.threshold["timestamp"] = []string{"a", "b"}, 2
	u := repo.update()
	r := newRegistry(t, repo.roots[0])
	must(r.Apply(u.Publisher, u))
	repo.bump()
	repo.signWith["timestamp"] = []string{"a"}
	head := Head{u.Publisher, 1, repo.update().Timestamp}
	if _, err := r.CheckHead(head); !errors.Is(err, ErrForged) {
		t.Errorf("one of two: %v", err)
	}
	repo.signWith["timestamp"] = []string{"b", "a"}
	head.Timestamp = repo.update().Timestamp
	if verdict, err := r.CheckHead(head); verdict != HeadNew || err != nil {
		t.Errorf("two of two: %s %v", verdict, err)
	}
}

// One content with its signatures in another order is the same content.
func TestSameContentOtherSignatures(t *testing.T) {
	repo := newRepo(t)
	repo.roleKeys["timestamp"] = []string{"a", "b"}
	repo.signWith["timestamp"] = []string{"a"}
	u := repo.update()
	r := newRegistry(t, repo.roots[0])
	must(r.Apply(u.Publisher, u))
	repo.signWith["timestamp"] = []string{"b"}
	again := repo.update()
	if verdict, err := r.CheckHead(Head{u.Publisher, 1, again.Timestamp}); verdict != HeadSame || err != nil {
		t.Errorf("%s %v, want same", verdict, err)
	}
	if changed, err := r.Apply(u.Publisher, again); changed || err != nil {
		t.Errorf("%t %v", changed, err)
	}
}

func TestRootRotation(t *testing.T) {
	repo := newRepo(t)
	repo.roleKeys["root"], repo.threshold["root"] = []string{"a", "b", "c"}, 2
	repo.rotate("a", "b")
	repo.model("vad").release("1", 1, "one")
	first := repo.update()
	r, late := newRegistry(t, repo.roots[0]), newRegistry(t)
	must(late.PinFingerprint("acme", first.Publisher))
	must(r.Apply(first.Publisher, first))

	// c leaves, d comes; the other roles move to e, a stolen key's end.
	repo.roleKeys["root"] = []string{"a", "b", "d"}
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		repo.roleKeys[role] = []string{"e"}
	}
	repo.rotate("a", "b")
	repo.rotate("b", "d") // a third root, by the new quorum
	// The thief had raised the versions to the skies; new keys begin again.
	repo.version["timestamp"], repo.version["snapshot"] = 1, 1
	repo.models["vad"].keys = []string{"e"}
	repo.models["vad"].release("2", 2, "two")
	repo.bump("targets", "m-vad")
	second := repo.update()

	head := Head{first.Publisher, 3, second.Timestamp}
	if verdict, err := r.CheckHead(head); verdict != HeadNeedsRoot || err != nil {
		t.Errorf("head under the new root: %s %v", verdict, err)
	}
	for name, reg := range map[string]*Registry{"was there": r, "comes late": late} {
		if changed, err := reg.Apply(first.Publisher, second); !changed || err != nil {
			t.Fatalf("%s: %t %v", name, changed, err)
		}
		if p, _ := reg.Publisher("acme"); p.Root != 3 || p.Fingerprint != first.Publisher {
			t.Errorf("%s: %+v", name, p)
		}
		if latest, _ := reg.Latest("acme/vad"); latest.Version != "2" {
			t.Errorf("%s: %+v", name, latest)
		}
		if verdict, err := reg.CheckHead(head); verdict != HeadSame || err != nil {
			t.Errorf("%s: %s %v", name, verdict, err)
		}
		// The old key signs no more; an innocent peer may still have its words.
		if verdict, err := reg.CheckHead(Head{first.Publisher, 1, first.Timestamp}); verdict != HeadOld || err != nil {
			t.Errorf("%s: head by the old key: %s %v", name, verdict, err)
		}
		if _, err := reg.CheckHead(Head{first.Publisher, 3, first.Timestamp}); !errors.Is(err, ErrForged) {
			t.Errorf("%s: old key under the new root: %v", name, err)
		}
		if _, err := reg.Apply(first.Publisher, first); !errors.Is(err, ErrRollback) || Hostile(err) {
			t.Errorf("%s: old update: %v, want ErrRollback", name, err)
		}
		u, ok, err := reg.Update(first.Publisher, Have{Root: 1, Timestamp: 1, Snapshot: 1, Targets: 1})
		if err != nil || !ok || len(u.Roots) != 2 || len(u.Roles) != 1 || len(u.Targets) == 0 {
			t.Errorf("%s: update for a peer at root 1: %d roots, %d roles (%t %v)", name, len(u.Roots), len(u.Roles), ok, err)
		}
	}
	// Sequences never go back, whatever the keys.
	clear(repo.models["vad"].releases)
	repo.models["vad"].release("1", 1, "one")
	repo.bump("m-vad")
	if _, err := r.Apply(first.Publisher, repo.update()); !errors.Is(err, ErrRollback) {
		t.Errorf("sequence back after rotation: %v", err)
	}
}

func TestBadRotations(t *testing.T) {
	for name, tc := range map[string]struct {
		rotate func(*repo)
		want   error
	}{
		"too few of the old keys":  {func(r *repo) { r.roleKeys["root"] = []string{"d", "e"}; r.rotate("a", "d", "e") }, ErrForged},
		"too few of the new keys":  {func(r *repo) { r.roleKeys["root"] = []string{"d", "e"}; r.rotate("a", "b", "e") }, ErrForged},
		"signed by a stranger too": {func(r *repo) { r.rotate("a", "b", "m") }, ErrForged},
		"another name":             {func(r *repo) { r.name = "evil"; r.rotate("a", "b") }, ErrForged},
		"a gap":                    {func(r *repo) { r.rotate("a", "b"); r.rotate("a", "b"); r.roots = append(r.roots[:1], r.roots[2]) }, ErrMismatch},
		"another root 1":           {func(r *repo) { r.roleKeys["snapshot"] = []string{"b"}; r.roots = nil; r.rotate("a", "c") }, ErrForged},
		"relabelled key":           {func(r *repo) { r.keys["a"] = r.keys["e"]; r.rotate("a", "b") }, ErrForged},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepo(t)
			repo.roleKeys["root"], repo.threshold["root"] = []string{"a", "b", "c"}, 2
			repo.rotate("a", "b")
			first := repo.update()
			r := newRegistry(t, repo.roots[0])
			must(r.Apply(first.Publisher, first))
			tc.rotate(repo)
			repo.bump()
			u := repo.update()
			u.Publisher = first.Publisher
			if changed, err := r.Apply(first.Publisher, u); changed || !errors.Is(err, tc.want) {
				t.Errorf("%t %v, want %v", changed, err, tc.want)
			}
			if p, _ := r.Publisher("acme"); p.Root != 1 || p.Timestamp != 1 {
				t.Errorf("a refused update left %+v", p)
			}
		})
	}
}

func TestEquivocatingRoot(t *testing.T) {
	repo := newRepo(t)
	repo.rotate("a")
	repo.rotate("a")
	u := repo.update()
	r := newRegistry(t, repo.roots[0])
	must(r.Apply(u.Publisher, u))
	repo.roots = repo.roots[:1]
	repo.roleKeys["timestamp"] = []string{"b"}
	repo.rotate("a")
	repo.bump()
	if _, err := r.Apply(u.Publisher, repo.update()); !errors.Is(err, ErrEquivocation) {
		t.Errorf("%v, want ErrEquivocation", err)
	}
	if found := must(r.Evidence()); len(found) != 1 || found[0].Role != "root" {
		t.Errorf("%+v", found)
	}
}

func TestModelWithItsOwnKey(t *testing.T) {
	repo := newRepo(t)
	repo.model("vad", "m", "e").release("1", 1, "one")
	repo.models["vad"].threshold = 2
	repo.model("asr").release("1", 1, "one")
	u := repo.update()
	r := newRegistry(t, repo.roots[0])
	must(r.Apply(u.Publisher, u))

	repo.models["vad"].release("2", 2, "two")
	repo.bump("m-vad")
	for name, signers := range map[string][]string{"the publisher's key": {"a"}, "one of two": {"m"}} {
		repo.signWith["m-vad"] = signers
		if _, err := r.Apply(u.Publisher, repo.update()); !errors.Is(err, ErrForged) {
			t.Errorf("%s signs for the model: %v", name, err)
		}
	}
	// The model's key signs for nothing else.
	delete(repo.signWith, "m-vad")
	repo.signWith["m-asr"] = []string{"m"}
	if _, err := r.Apply(u.Publisher, repo.update()); !errors.Is(err, ErrForged) && !errors.Is(err, ErrEquivocation) {
		t.Errorf("the model's key signs for another: %v", err)
	}
	delete(repo.signWith, "m-asr")
	must(r.Apply(u.Publisher, repo.update()))

	// Its key is replaced: the same words must be signed again.
	repo.models["vad"].keys, repo.models["vad"].threshold = []string{"d"}, 1
	repo.signWith["m-vad"] = []string{"m", "e"}
	repo.bump("targets")
	if _, err := r.Apply(u.Publisher, repo.update()); !errors.Is(err, ErrForged) {
		t.Errorf("replaced key still signs: %v", err)
	}
	delete(repo.signWith, "m-vad")
	must(r.Apply(u.Publisher, repo.update()))
	if latest, _ := r.Latest("acme/vad"); latest.Version != "2" {
		t.Errorf("%+v", latest)
	}
}

// A delegation that is withdrawn takes its releases with it, and what they
// meant is still remembered when it comes back.
func TestWithdrawnModel(t *testing.T) {
	repo := newRepo(t)
	vad := repo.model("vad")
	vad.release("1", 1, "one")
	repo.model("asr").release("1", 1, "one")
	u := repo.update()
	r := newRegistry(t, repo.roots[0])
	must(r.Apply(u.Publisher, u))
	withdrawn := snapshotKeeping(repo, "vad")
	must(r.Apply(u.Publisher, withdrawn))
	if _, ok := r.Latest("acme/vad"); ok || len(r.Models()) != 1 {
		t.Errorf("a withdrawn model has a release; models %v", r.Models())
	}
	if old, ok := r.Release("acme/vad", "1"); !ok || !old.Revoked {
		t.Errorf("%+v %t, want it revoked", old, ok)
	}
	repo.models["vad"] = vad
	vad.release("1", 2, "something else")
	repo.bump("targets", "m-vad")
	if _, err := r.Apply(u.Publisher, repo.update()); !errors.Is(err, ErrEquivocation) {
		t.Errorf("%v, want ErrEquivocation", err)
	}
}

// snapshotKeeping withdraws a model: its delegation goes, its entry in the
// snapshot stays, as TUF demands.
func snapshotKeeping(r *repo, model string) Update {
	kept := r.docs[roleName(model)]
	version := r.version[roleName(model)]
	delete(r.models, model)
	r.bump("targets")
	r.extra = map[string]extraEntry{roleName(model) + ".json": {kept, version}}
	defer func() { r.extra = nil }()
	return r.update()
}
