package trust

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const year = 365 * 24 * time.Hour

// clock is a node's clock that a test sets.
type clock struct{ now time.Time }

func (c *clock) policy(p Policy, grace time.Duration) func(*Config) {
	return func(config *Config) {
		config.Policy, config.Grace, config.Now = p, grace, func() time.Time { return c.now }
	}
}

// What expired metadata may still do, by policy. Whatever it is, what was
// believed stays (law 6) and shows as stale.
func TestExpiryPolicies(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy Policy
		grace  time.Duration
		age    time.Duration // at which the update arrives; it expires at one year
		want   error
	}{
		{"default, fresh", "", 0, 0, nil},
		{"default, ten years late", "", 0, 10 * year, nil},
		{"offline, 50 years late", PolicyOffline, 0, 50 * year, nil},
		{"strict, fresh", PolicyStrict, 0, year - time.Hour, nil},
		{"strict, an hour late", PolicyStrict, 0, year + time.Hour, ErrExpired},
		{"grace, within", PolicyGrace, 48 * time.Hour, year + 47*time.Hour, nil},
		{"grace, beyond", PolicyGrace, 48 * time.Hour, year + 49*time.Hour, ErrExpired},
		{"default grace, within", PolicyGrace, 0, year + DefaultGrace - time.Hour, nil},
		{"default grace, beyond", PolicyGrace, 0, year + DefaultGrace + time.Hour, ErrExpired},
		{"clock before all of it", PolicyStrict, 0, -30 * year, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSigner(t, "acme")
			sign(t, s, "acme/vad", "1")
			c := &clock{now: epoch}
			r := openRegistry(t, t.TempDir(), c.policy(tc.policy, tc.grace))
			must(r.Pin(s.Root()))
			catchUp(t, r, s.Fingerprint(), s.Update)
			sign(t, s, "acme/vad", "2")

			c.now = epoch.Add(tc.age)
			if _, err := r.CheckHead(s.Head()); !errors.Is(err, tc.want) || Hostile(err) {
				t.Errorf("head: %v, want %v", err, tc.want)
			}
			u, _ := s.Update(r.Have(s.Fingerprint()))
			changed, err := r.Apply(s.Fingerprint(), u)
			if !errors.Is(err, tc.want) || changed != (tc.want == nil) || Hostile(err) {
				t.Fatalf("changed %t, %v, want %v", changed, err, tc.want)
			}
			latest, ok := r.Latest("acme/vad")
			if want := map[bool]string{true: "2", false: "1"}[tc.want == nil]; !ok || latest.Version != want {
				t.Errorf("latest %+v %t, want version %s", latest, ok, want)
			}
			if want := tc.age > year; latest.Stale != want {
				t.Errorf("stale is %t, want %t", latest.Stale, want)
			}
			if p, _ := r.Publisher("acme"); p.Stale != latest.Stale {
				t.Errorf("publisher %+v", p)
			}
		})
	}
}

// Refresh is enough to make everything fresh again.
func TestRefresh(t *testing.T) {
	s := newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	c := &clock{now: epoch}
	r := openRegistry(t, t.TempDir(), c.policy(PolicyStrict, 0))
	must(r.Pin(s.Root()))
	catchUp(t, r, s.Fingerprint(), s.Update)
	c.now = epoch.Add(3 * year)
	if err := s.Refresh(c.now); err != nil {
		t.Fatal(err)
	}
	u, _ := s.Update(r.Have(s.Fingerprint()))
	if len(u.Roles) != 0 || len(u.Targets) != 0 {
		t.Errorf("a refresh carries %d roles and %d bytes of targets", len(u.Roles), len(u.Targets))
	}
	must(r.Apply(s.Fingerprint(), u))
	if latest, ok := r.Latest("acme/vad"); !ok || latest.Stale {
		t.Errorf("%+v %t", latest, ok)
	}
}

// A clock that is set back cannot revive what had expired, not even after a
// restart, nor by another publisher.
func TestTimeNeverGoesBack(t *testing.T) {
	s, other := newSigner(t, "acme"), newSigner(t, "other")
	sign(t, s, "acme/vad", "1")
	late := epoch.Add(2 * year)
	if _, err := other.Sign(SignRequest{Model: "other/m", Version: "1", Manifest: block("x"), Size: 1, Now: late}); err != nil {
		t.Fatal(err)
	}
	c := &clock{now: late}
	dir := t.TempDir()
	r := openRegistry(t, dir, c.policy(PolicyStrict, 0))
	must(r.Pin(s.Root()))
	must(r.Pin(other.Root()))
	catchUp(t, r, other.Fingerprint(), other.Update)
	for restart := range 2 {
		c.now = epoch
		u, _ := s.Update(Have{})
		if _, err := r.Apply(s.Fingerprint(), u); !errors.Is(err, ErrExpired) {
			t.Errorf("restart %d: %v, want ErrExpired", restart, err)
		}
		_ = r.Close()
		r = openRegistry(t, dir, c.policy(PolicyStrict, 0))
	}
}

// A clock that once jumped ahead by decades must not spoil the future: what
// such a clock read is remembered only up to the expiry of what it accepted.
func TestClockWrongByYears(t *testing.T) {
	s := newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	c := &clock{now: epoch.Add(70 * year)}
	dir := t.TempDir()
	r := openRegistry(t, dir, c.policy(PolicyOffline, 0))
	must(r.Pin(s.Root()))
	catchUp(t, r, s.Fingerprint(), s.Update)
	if latest, _ := r.Latest("acme/vad"); !latest.Stale {
		t.Error("not stale in 2096")
	}
	_ = r.Close()

	c.now = epoch // repaired, and the site turns strict
	r = openRegistry(t, dir, c.policy(PolicyStrict, 0))
	if _, err := s.Sign(SignRequest{Model: "acme/vad", Version: "2", Manifest: block("2"), Size: 1, Now: epoch.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	catchUp(t, r, s.Fingerprint(), s.Update)
	if latest, ok := r.Latest("acme/vad"); !ok || latest.Version != "2" || latest.Stale {
		t.Errorf("%+v %t", latest, ok)
	}
}

// The publisher's own clock may go back; what it signs does not.
func TestSignerTimeNeverGoesBack(t *testing.T) {
	s := newSigner(t, "acme")
	request := SignRequest{Model: "acme/vad", Version: "1", Manifest: block("1"), Size: 1, Now: epoch.Add(time.Hour)}
	first := must(s.Sign(request))
	request.Version, request.Now = "2", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	if second := must(s.Sign(request)); second.Created.Before(first.Created) {
		t.Errorf("created %s after %s", second.Created, first.Created)
	}
}

// The default clock is the system's.
func TestStaleAsTimePasses(t *testing.T) {
	s, err := CreatePublisher(t.TempDir(), "acme", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	synctest.Test(t, func(t *testing.T) { // its clock starts at 2000-01-01
		must(s.Sign(SignRequest{Model: "acme/vad", Version: "1", Manifest: block("1"), Size: 1, Now: time.Now()}))
		r, err := Open(Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		must(r.Pin(s.Root()))
		catchUp(t, r, s.Fingerprint(), s.Update)
		for _, stale := range []bool{false, true} {
			if latest, ok := r.Latest("acme/vad"); !ok || latest.Stale != stale {
				t.Errorf("at %s stale is %t (%t)", time.Now(), latest.Stale, ok)
			}
			time.Sleep(FreshLifetime + time.Second)
		}
	})
}
