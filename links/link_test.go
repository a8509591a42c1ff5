package links

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// openSet opens links by the clock of the bubble, or the machine.
func openSet(t testing.TB, list ...Config) *Set {
	t.Helper()
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "ledger.json"), Class: WAN, Links: list, Interfaces: func() map[netip.Addr]string {
		return map[netip.Addr]string{netip.MustParseAddr("10.8.0.2"): "wwan0", netip.MustParseAddr("fe80::1"): "eth0"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestFind(t *testing.T) {
	s := openSet(t,
		Config{Name: "vpn", Match: prefixes("10.0.0.0/8")},
		Config{Name: "lte", Local: []string{"wwan0"}},
		Config{Name: "sat", Match: prefixes("10.8.0.0/16", "2001:db8::/32"), Class: Satellite},
		Config{Name: "both", Match: prefixes("10.8.4.0/24"), Local: []string{"10.9.9.9"}},
	)
	for _, tt := range []struct{ local, remote, want string }{
		{"192.0.2.1", "10.1.1.1", "vpn"},
		{"192.0.2.1", "10.8.1.1", "sat"},
		{"192.0.2.1", "::ffff:10.8.1.1", "sat"},
		{"192.0.2.1", "10.8.4.1", "sat"}, // not from 10.9.9.9
		{"10.9.9.9", "10.8.4.1", "both"},
		{"10.8.0.2", "203.0.113.1", "lte"},
		{"10.8.0.2", "10.8.1.1", "sat"}, // a prefix says more than an interface
		{"fe80::1%eth0", "2001:db8::5", "sat"},
		{"192.0.2.1", "203.0.113.1", Default},
		{"", "", Default},
	} {
		local, _ := netip.ParseAddr(tt.local)
		remote, _ := netip.ParseAddr(tt.remote)
		l, named := s.Find(local, remote)
		if l.Name() != tt.want || named != (tt.want != Default) {
			t.Errorf("from %s to %s: %s, named %v; want %s", tt.local, tt.remote, l.Name(), named, tt.want)
		}
	}
	if l, _ := s.Find(netip.Addr{}, netip.MustParseAddr("10.8.1.1")); l.Config().Class != Satellite {
		t.Errorf("class %s", l.Config().Class)
	}
	if l, _ := s.Find(netip.Addr{}, netip.Addr{}); l.Config().Class != WAN {
		t.Errorf("class of the rest %s", l.Config().Class)
	}
}

// TestAdmit: each bound closes the link with its reason, until it names.
// A bubble begins on Saturday, 1 January 2000, at midnight, UTC.
func TestAdmit(t *testing.T) {
	model := Use{Model: "acme/vad", Version: "6.2.0"}
	full := func(n int64, noDelta string, allowed bool) Use {
		u := model
		u.Full, u.NoDelta, u.Allowed = n, noDelta, allowed
		return u
	}
	for _, tt := range []struct {
		name  string
		c     Config
		spent int
		use   Use
		why   Why
		until time.Duration // from the start; 0 for none
		says  string
	}{
		{name: "no bound"},
		{name: "night", c: Config{Schedule: schedule(t, "22:00-06:00")}},
		{name: "day", c: Config{Schedule: schedule(t, "06:00-22:00")}, why: WhySchedule, until: 6 * time.Hour, says: "waits until 06:00 on link default"},
		{name: "Monday", c: Config{Schedule: schedule(t, "mon 06:00-22:00")}, why: WhySchedule, until: 54 * time.Hour, says: "waits until Mon 2000-01-03 06:00 on link default"},
		{name: "within the day's budget", c: Config{Day: 1 << 20}, spent: 500_000},
		{name: "day's budget", c: Config{Day: 1 << 20}, spent: 1 << 20, why: WhyDay, until: 24 * time.Hour, says: "waits for budget of 2000-01-02 on link default"},
		{name: "month's budget", c: Config{Day: 1 << 20, Month: 1 << 20}, spent: 1 << 20, why: WhyMonth, until: 31 * 24 * time.Hour, says: "waits for budget of 2000-02 on link default"},
		{name: "serving is bounded, too", c: Config{Month: 1 << 20}, spent: 1 << 20, use: Use{}, why: WhyMonth, until: 31 * 24 * time.Hour, says: "2000-02"},
		{name: "small in full", c: Config{Metered: true}, use: full(1<<20, "", false)},
		{name: "large in full", c: Config{Metered: true}, use: full(17<<20, "", false), why: WhyFull, says: "waits for `dunlin allow acme/vad@6.2.0`: 17.8 MB in full on metered link default, over its limit of 16MiB for full downloads"},
		{name: "large in full, not metered", use: full(17<<20, "", false)},
		{name: "a limit without a meter", c: Config{FullLimit: 1 << 20}, use: full(2<<20, "", false), why: WhyFull, says: "2.1 MB in full on link default, over its limit of 1MiB"},
		{name: "no delta", c: Config{Metered: true}, use: full(1<<20, "no peer holds both versions", false), why: WhyFull, says: "waits for `dunlin allow acme/vad@6.2.0`: 1.0 MB in full on metered link default, and no delta: no peer holds both versions"},
		{name: "no delta, not metered", use: full(1<<20, "no peer holds both versions", false)},
		{name: "allowed", c: Config{Metered: true}, use: full(17<<20, "no peer holds both versions", true)},
		{name: "a delta of any size", c: Config{Metered: true}, use: model},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				start := time.Now()
				tt.c.Name = Default
				s := openSet(t, tt.c)
				l := s.All()[0]
				if tt.spent > 0 {
					_, _, _ = l.Take(Use{}, tt.spent, Down)
				}
				_, err := l.Admit(tt.use)
				if tt.why == "" {
					if err != nil || len(l.Reasons(tt.use)) > 0 {
						t.Fatalf("closed: %v", err)
					}
					return
				}
				closed, ok := errors.AsType[*Closed](err)
				if !ok || closed.Why != tt.why || !strings.Contains(closed.Error(), tt.says) {
					t.Fatalf("%v; want %s, %q", err, tt.why, tt.says)
				}
				if tt.until == 0 != closed.Until.IsZero() || tt.until > 0 && closed.Until.Sub(start) != tt.until {
					t.Errorf("until %s", closed.Until)
				}
				if r := l.Reasons(tt.use); len(r) != 1 || r[0].Error() != closed.Error() {
					t.Errorf("reasons %v", r)
				}
				if tt.until > 0 {
					time.Sleep(tt.until)
					if _, err := l.Admit(tt.use); err != nil {
						t.Errorf("after that time: %v", err)
					}
				}
			})
		})
	}
}

// TestTakeStopsAtTheBudget: what goes up is granted to the last byte of the
// budget and not beyond; what comes down counts, and ends the reading.
func TestTakeStopsAtTheBudget(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		budget := Bytes(rapid.Int64Range(int64(minBudget), 1<<20).Draw(rt, "budget"))
		s := openSet(t, Config{Name: Default, Day: budget})
		l := s.All()[0]
		for {
			n := rapid.IntRange(1, 64<<10).Draw(rt, "bytes")
			granted, _, err := l.Take(Use{}, n, Direction(rapid.Bool().Draw(rt, "up")))
			day := l.Status().InDay
			if err != nil {
				if left, err := l.Admit(Use{}); err == nil || left != 0 {
					rt.Fatalf("after %v it is open for %d bytes", err, left)
				}
				if day < int64(budget)-leastUseful {
					rt.Fatalf("closed at %d of %d", day, budget)
				}
				return
			}
			if granted <= 0 || granted > n {
				rt.Fatalf("%d of %d granted", granted, n)
			}
			if left, err := l.Admit(Use{}); err == nil && WireBytes(left) > int64(budget)-day {
				rt.Fatalf("%d bytes may still pass, %d of the budget are left", left, int64(budget)-day)
			}
		}
	})
}

// TestPriority: while a model is being fetched those of lower priority wait, one
// that is pushed must end; others go on, and all do once it is done or silent.
func TestPriority(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := openSet(t)
		l := s.All()[0]
		big, small := Use{Model: "acme/big", Priority: 5}, Use{Model: "acme/small"}
		take := func(u Use, n int) error {
			_, _, err := l.Take(u, n, Down)
			return err
		}
		_ = take(big, 300)
		if _, err := l.Admit(small); err != nil {
			t.Errorf("a peer that has nothing holds others up: %v", err)
		}
		_ = take(big, 4096)
		if _, err := l.Admit(small); err == nil || err.Error() != "waits for acme/big on link default" {
			t.Errorf("%v", err)
		}
		if _, err := l.Admit(big); err != nil {
			t.Errorf("it waits for itself: %v", err)
		}
		if _, err := l.Admit(Use{Model: "acme/equal", Priority: 5}); err != nil {
			t.Errorf("one of the same priority waits: %v", err)
		}
		if _, err := l.Admit(Use{}); err != nil {
			t.Errorf("blocks and peers wait: %v", err)
		}
		if err := take(small, 100); err != nil {
			t.Errorf("what was asked for does not come: %v", err)
		}
		small.Pushed = true
		if err := take(small, 100); err == nil {
			t.Error("a delta comes on")
		}
		time.Sleep(holdsFor + time.Second)
		if _, err := l.Admit(small); err != nil {
			t.Errorf("after silence: %v", err)
		}
		_ = take(big, 4096)
		s.Done("acme/big")
		if _, err := l.Admit(small); err != nil {
			t.Errorf("after it is done: %v", err)
		}
	})
}

// TestReplaceKeepsFigures: links may be set anew while they are in use.
func TestReplaceKeepsFigures(t *testing.T) {
	s := openSet(t, Config{Name: "sat", Match: prefixes("10.0.0.0/8"), Day: 1 << 20})
	l, _ := s.Find(netip.Addr{}, netip.MustParseAddr("10.1.1.1"))
	if _, _, err := l.Take(Use{}, 100_000, Down); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(nil); err != nil {
		t.Fatal(err)
	}
	if l, _ := s.Find(netip.Addr{}, netip.MustParseAddr("10.1.1.1")); l.Name() != Default {
		t.Errorf("link %s is gone", l.Name())
	}
	if err := s.Replace([]Config{{Name: "sat", Match: prefixes("10.0.0.0/8"), Day: 100_000}}); err != nil {
		t.Fatal(err)
	}
	l, _ = s.Find(netip.Addr{}, netip.MustParseAddr("10.1.1.1"))
	if _, err := l.Admit(Use{}); err == nil {
		t.Error("taking a link away and setting it anew gives its budget back")
	}
	if err := s.Replace([]Config{{Name: "sat"}}); !errors.Is(err, ErrConfig) {
		t.Errorf("%v", err)
	}
}

func TestWireBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wire := rapid.Int64Range(0, 1<<40).Draw(t, "wire")
		if n := streamBytes(wire); WireBytes(n) > wire && n > 0 || wire > 0 && WireBytes(n+2) <= wire {
			t.Fatalf("%d on the wire are %d on the stream, which are %d on the wire", wire, n, WireBytes(n))
		}
	})
}

func TestForecast(t *testing.T) {
	at := moment(t, "2026-11-24 12:00", time.UTC)
	for _, tt := range []struct {
		name       string
		c          Config
		day, month int64
		bytes      int64
		rate       Rate
		begin, end string // empty: never
	}{
		{name: "at once", bytes: 3600 * 1000, rate: 8000, begin: "2026-11-24 12:00", end: "2026-11-24 13:00"},
		{name: "tonight", c: Config{Schedule: schedule(t, "22:00-06:00")}, bytes: 3600 * 1000, rate: 8000, begin: "2026-11-24 22:00", end: "2026-11-24 23:00"},
		{name: "two nights", c: Config{Schedule: schedule(t, "22:00-06:00")}, bytes: 9 * 3600 * 1000, rate: 8000, begin: "2026-11-24 22:00", end: "2026-11-25 23:00"},
		{name: "two days' budget", c: Config{Day: 3_600_000}, bytes: 5_400_000, rate: 8000, begin: "2026-11-24 12:00", end: "2026-11-25 00:30"},
		{name: "spent today", c: Config{Day: 3_600_000}, day: 3_600_000, bytes: 3_600_000, rate: 8000, begin: "2026-11-25 00:00", end: "2026-11-25 01:00"},
		{name: "spent this month", c: Config{Month: 3_600_000}, month: 3_600_000, bytes: 3_600_000, rate: 8000, begin: "2026-12-01 00:00", end: "2026-12-01 01:00"},
		{name: "no rate", bytes: 1},
		{name: "longer than anybody waits", c: Config{Day: 65536}, bytes: 1 << 50, rate: 8000, begin: "2026-11-24 12:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begin, end, ok := forecast(tt.c, tt.day, tt.month, tt.bytes, tt.rate, at)
			if ok != (tt.end != "") {
				t.Fatalf("from %s to %s, %v", begin, end, ok)
			}
			if ok && (!begin.Equal(moment(t, tt.begin, time.UTC)) || !end.Equal(moment(t, tt.end, time.UTC))) {
				t.Errorf("from %s to %s, want %s to %s", begin, end, tt.begin, tt.end)
			}
		})
	}
}

func BenchmarkTake(b *testing.B) {
	s, err := Open(Options{Path: filepath.Join(b.TempDir(), "ledger.json"), Class: WAN, Links: []Config{{Name: Default, Month: MaxBytes}}})
	if err != nil {
		b.Fatal(err)
	}
	l := s.All()[0]
	b.SetBytes(64 << 10)
	for b.Loop() {
		if _, _, err := l.Take(Use{}, 64<<10, Up); err != nil {
			b.Fatal(err)
		}
	}
}
