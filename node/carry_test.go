package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
)

// Limits hold after a restart, go with their rule, and files of before there were
// any are read; so is one of today without limits by a program of before.
func TestCarryLimitsAreDurable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, followName)
	if err := os.WriteFile(path, []byte(`{"follow": [], "carry": ["acme/*"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := openRules(t, dir)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if err := r.carry([]string{"acme/*"}, limitChange{quotaBytes: new(uint64(1000))}); err != nil {
		t.Fatal(err)
	}
	if err := r.carry([]string{"acme/*", "zoo/*"}, limitChange{expires: &at}); err != nil {
		t.Fatal(err)
	}
	want := []carryRule{{"acme/*", limit{1000, at}}, {"zoo/*", limit{0, at}}}
	if got := openRules(t, dir).carried(); !slices.Equal(got, want) {
		t.Fatalf("rules are %v, want %v", got, want)
	}
	if _, err := r.drop([]string{"acme/*"}); err != nil {
		t.Fatal(err)
	}
	if err := r.carry([]string{"zoo/*"}, limitChange{expires: new(time.Time)}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "limits") {
		t.Errorf("without limits the file is %s, %v", text, err)
	}
	for name, text := range map[string]string{
		"limit of no rule": `{"follow": [], "carry": ["a/b"], "limits": {"a/c": {"quota_bytes": 1}}}`,
		"unknown limit":    `{"follow": [], "carry": ["a/b"], "limits": {"a/b": {"rate": 1}}}`,
		"negative quota":   `{"follow": [], "carry": ["a/b"], "limits": {"a/b": {"quota_bytes": -1}}}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadRules(dir); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// A rule ends at its time, to the instant.
func TestCarryRuleExpires(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := openRules(t, dir)
		at := time.Now().Add(time.Hour)
		if err := r.carry([]string{"acme/*", "zoo/*"}, limitChange{}); err != nil {
			t.Fatal(err)
		}
		if err := r.carry([]string{"acme/*"}, limitChange{expires: &at}); err != nil {
			t.Fatal(err)
		}
		dropped, next, err := r.expire(time.Now())
		if len(dropped) != 0 || !next.Equal(at) || err != nil || !r.carries("acme/vad") {
			t.Fatalf("too early: %v, %v, %v", dropped, next, err)
		}
		time.Sleep(time.Hour)
		if r.carries("acme/vad") || !r.carries("zoo/bird") || !slices.Equal(r.patterns(), []string{"zoo/*"}) {
			t.Errorf("after its time the rule holds: %v", r.patterns())
		}
		dropped, next, err = r.expire(time.Now())
		if !slices.Equal(dropped, []string{"acme/*"}) || !next.IsZero() || err != nil {
			t.Errorf("dropped %v, next %v, %v", dropped, next, err)
		}
	})
}

// plan is a candidate for allot in short: how old, how large, what is here.
func planned(t *testing.T, m manifest.Model, rank int, age time.Duration, bytes uint64, here bool) carried {
	t.Helper()
	w := wantOf(t, m, string(m)+age.String())
	c := carried{Release: w.Release, rank: rank, created: time.Unix(1e9, 0).Add(-age), bytes: bytes}
	if here {
		c.held = &store.ReleaseState{Release: w.Release, Variants: []store.VariantState{{Name: "default", Bytes: bytes, HeldBytes: bytes, Complete: true}}}
	}
	return c
}

// What was made last comes first, what is kept of earlier releases last; a rule
// without a quota takes what it matches.
func TestPlaceUnderQuotas(t *testing.T) {
	rules := []carryRule{{"acme/*", limit{QuotaBytes: 100}}, {"acme/a*", limit{QuotaBytes: 50}}, {"zoo/*", limit{}}}
	a := allotment{over: map[manifest.CID]string{}, use: map[string]carryUse{}}
	for _, tt := range []struct {
		c    carried
		rule string // empty: it waits
	}{
		{planned(t, "acme/b", 0, 1, 80, true), "acme/*"},
		{planned(t, "acme/a1", 0, 2, 30, false), "acme/a*"}, // no room under the first rule
		{planned(t, "acme/c", 0, 3, 30, false), ""},
		{planned(t, "acme/d", 0, 4, 20, false), "acme/*"}, // smaller, and older
		{planned(t, "zoo/x", 0, 5, 1<<60, false), "zoo/*"},
		{planned(t, "acme/a1", 1, 6, 20, true), "acme/a*"},
		{planned(t, "acme/b", 1, 7, 1, true), ""},
	} {
		r, ok := a.place(rules, tt.c)
		if ok != (tt.rule != "") || (ok && r.pattern != tt.rule) {
			t.Errorf("%s of %d bytes goes under %v, %v; want %q", tt.c.Model, tt.c.bytes, r.pattern, ok, tt.rule)
		}
	}
	if u := a.use["acme/*"]; u != (carryUse{planned: 100, held: 80, releases: 2, waiting: 1}) {
		t.Errorf("use of acme/* is %+v", u)
	}
}

func carryRule1(t *testing.T, b *bystander) api.CarryRule {
	t.Helper()
	r := must[api.Rules](t, b, "rules", nil)
	if len(r.CarryRules) != 1 {
		t.Fatalf("rules are %+v", r.CarryRules)
	}
	return r.CarryRules[0]
}

// until waits until something is true that the board tells of.
func until(t *testing.T, b *bystander, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, changed := b.node.board.get(vad)
		if is() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // a removal changes no entry
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, ctx.Err())
		}
	}
}

// A courier with little room carries what was made last; what does not fit waits
// and says why, and gets the room once there is some.
func TestCarryQuota(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	publish(t, p, "acme/old", "1", "m.bin", random(1, 300_000))
	c := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, c, "carry", api.CarryRequest{Models: []string{"acme/*"}, QuotaBytes: new(uint64(500_000))})
	arrive(t, c, "acme/old", "1")

	// Metadata counts whole seconds; among releases of one the name decides.
	publish(t, p, "acme/new", "1", "m.bin", random(2, 400_000))
	arrive(t, c, "acme/new", "1")
	until(t, c, "the older one makes way", func() bool { return len(releasesOf(t, c)) == 1 })
	until(t, c, "what does not fit waits and says why", func() bool {
		m := c.model(t, "acme/old")
		return m.State == api.StateWaiting && strings.Contains(m.Reason, "over the quota of acme/*")
	})
	if r := carryRule1(t, c); r.UsedBytes != 400_000 || r.QuotaBytes != 500_000 || r.Releases != 1 || r.Waiting != 1 {
		t.Errorf("rule is %+v", r)
	}
	// One that fits with no quota at all, and another that is only bound by the
	// rest, do not disturb each other.
	publish(t, p, "acme/small", "1", "m.bin", random(3, 50_000))
	arrive(t, c, "acme/small", "1")
	arrive(t, c, "acme/new", "1")

	must[api.Rules](t, c, "carry", api.CarryRequest{Models: []string{"acme/*"}, QuotaBytes: new(uint64(0))})
	arrive(t, c, "acme/old", "1")
	if r := carryRule1(t, c); r.UsedBytes != 750_000 || r.Waiting != 0 || r.Releases != 3 {
		t.Errorf("without a quota the rule is %+v", r)
	}
	// What is followed is no matter for quotas, however small.
	must[api.Rules](t, c, "follow", api.RulesRequest{Models: []string{"acme/new"}})
	must[api.Rules](t, c, "carry", api.CarryRequest{Models: []string{"acme/*"}, QuotaBytes: new(uint64(1))})
	until(t, c, "the rest is gone", func() bool { return len(releasesOf(t, c)) == 1 })
	arrive(t, c, "acme/new", "1")
}

// When a rule's time is over, what it brought goes, and nothing else.
func TestExpiredRuleLetsGo(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	publish(t, p, "acme/a", "1", "m.bin", random(1, 1000))
	publish(t, p, "acme/b", "1", "m.bin", random(2, 1000))
	c := neighbour(t, p, root, nil, nil)
	must[api.Rules](t, c, "follow", api.RulesRequest{Models: []string{"acme/b"}})
	must[api.Rules](t, c, "carry", api.CarryRequest{Models: []string{"acme/*"}})
	arrive(t, c, "acme/a", "1")
	arrive(t, c, "acme/b", "1")
	soon := time.Now().Add(200 * time.Millisecond)
	must[api.Rules](t, c, "carry", api.CarryRequest{Models: []string{"acme/*"}, Expires: &soon})
	until(t, c, "what was carried is gone", func() bool { return len(releasesOf(t, c)) == 1 })
	if r := must[api.Rules](t, c, "rules", nil); len(r.Carry) != 0 || len(r.Follow) != 1 {
		t.Errorf("rules are %+v", r)
	}
	arrive(t, c, "acme/b", "1")
	past := time.Now().Add(-time.Hour)
	refused(t, c, "carry", api.CarryRequest{Models: []string{"acme/*"}, Expires: &past}, api.CodeUsage, "before now")
}
