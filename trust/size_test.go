package trust

import (
	"fmt"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// The bounds of docs: a head is gossiped to everybody, an update of one model
// crosses the narrowest link.
func TestSizesOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		model   manifest.Model
		version string
		head    int // exact figures, so that growth is a decision
		update  int
	}{
		{"acme/vad", "6.2.%d", 457, 1564},
		{"acme/silero-vad", "6.2.%d", 457, 1592},
		{"acme/speech-enhancement-multilingual", "2026-11-24.%d", 457, 1698},
	} {
		s := newSigner(t, "acme")
		var before Have
		for i := range 8 { // more than the role keeps
			before = s.Have()
			sign(t, s, tc.model, fmt.Sprintf(tc.version, i))
		}
		u, ok := s.Update(before)
		if !ok || len(u.Roots) != 0 || len(u.Targets) != 0 || len(u.Roles) != 1 {
			t.Fatalf("update has %d roots, %d bytes of targets, %d roles", len(u.Roots), len(u.Targets), len(u.Roles))
		}
		head, wire, have := must(s.Head().Encode()), must(u.Encode()), must(s.Have().Encode())
		t.Logf("%s: timestamp %d, head %d, snapshot %d, role %d, update %d, have %d, root %d bytes",
			tc.model, len(u.Timestamp), len(head), len(u.Snapshot), len(u.Roles[0].Data), len(wire), len(have), len(s.Root()))
		if len(u.Timestamp) >= 400 || len(head) >= 600 || len(wire) >= 2000 || len(have) >= 64 {
			t.Errorf("%s: too large: timestamp %d (under 400), head %d (under 600), update %d (under 2000), have %d (under 64)",
				tc.model, len(u.Timestamp), len(head), len(wire), len(have))
		}
		if len(head) != tc.head || len(wire) != tc.update {
			t.Errorf("%s: head of %d bytes and update of %d, were %d and %d", tc.model, len(head), len(wire), tc.head, tc.update)
		}
	}
}

// A timestamp stays under 400 bytes through version 9999, ten a day for more
// than two years.
func TestTimestampOfVersion9999(t *testing.T) {
	r := newRepo(t)
	r.keys[keyLabel] = r.keys["a"]
	for role := range r.roleKeys {
		r.roleKeys[role] = []string{keyLabel}
	}
	r.version["timestamp"], r.version["snapshot"] = 9999, 9999
	if n := len(r.update().Timestamp); n >= 400 {
		t.Errorf("timestamp of %d bytes, want under 400", n)
	}
}

func TestThousandsOfModels(t *testing.T) {
	models := 4000
	if testing.Short() {
		models = 100
	}
	repo := newRepo(t)
	for i := range models {
		repo.model(fmt.Sprintf("model-%04d", i)).release("1.0.0", 1, "x")
	}
	first := repo.update()
	server, client := newRegistry(t, repo.roots[0]), newRegistry(t, repo.roots[0])
	start := time.Now()
	must(server.Apply(first.Publisher, first))
	t.Logf("%d models: everything is %d bytes and verified in %s", models, first.Bytes(), time.Since(start).Round(time.Millisecond))
	catchUp(t, client, first.Publisher, fromRegistry(server, first.Publisher))

	for i := range 3 {
		repo.models[fmt.Sprintf("model-%04d", 7*i)].release("1.1.0", 2, "y")
		repo.bump(roleName(fmt.Sprintf("model-%04d", 7*i)))
	}
	must(server.Apply(first.Publisher, repo.update()))
	u, ok, err := server.Update(first.Publisher, client.Have(first.Publisher))
	if err != nil || !ok || !u.Thin || len(u.Roles) != 3 || len(u.Targets) != 0 || len(u.Roots) != 0 || u.Bytes() > 2600 {
		t.Fatalf("update of %d bytes has %d roles and %d bytes of targets, want the 3 that changed (%t %v)", u.Bytes(), len(u.Roles), len(u.Targets), ok, err)
	}
	start = time.Now()
	must(client.Apply(first.Publisher, u))
	t.Logf("3 of %d changed: %d bytes, of which the snapshot is %d; applied in %s", models, u.Bytes(), len(u.Snapshot), time.Since(start).Round(time.Millisecond))
	if latest, _ := client.Latest("acme/model-0007"); latest.Version != "1.1.0" {
		t.Errorf("latest %+v", latest)
	}
	if latest, _ := client.Latest("acme/model-0008"); latest.Version != "1.0.0" {
		t.Errorf("latest %+v", latest)
	}
	if got := len(client.Models()); got != models {
		t.Errorf("%d models, want %d", got, models)
	}
}

func BenchmarkCheckHead(b *testing.B) {
	s := newSigner(b, "acme")
	sign(b, s, "acme/vad", "1")
	r := newRegistry(b, s.Root())
	head := s.Head()
	for b.Loop() {
		if verdict, err := r.CheckHead(head); verdict != HeadNew || err != nil {
			b.Fatal(verdict, err)
		}
	}
}

func BenchmarkSignAndApply(b *testing.B) {
	s := newSigner(b, "acme")
	r := newRegistry(b, s.Root())
	i := 0
	for b.Loop() {
		sign(b, s, "acme/vad", fmt.Sprint(i))
		catchUp(b, r, s.Fingerprint(), s.Update)
		i++
	}
	if latest, _ := r.Latest(manifest.Model("acme/vad")); latest.Version != fmt.Sprint(i-1) {
		b.Fatal(latest)
	}
}
