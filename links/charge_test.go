package links

import (
	"bytes"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// Control traffic is on the same account as data, shown by its kind, and kept.
func TestCharge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.json")
	list := []Config{{Name: "sat", Match: prefixes("10.0.0.0/8"), Day: 1 << 20}}
	open := func() *Set {
		s, err := Open(Options{Path: path, Class: WAN, Links: list})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	l := s.All()[0]
	if _, _, err := l.Take(Use{}, 10_000, Down); err != nil {
		t.Fatal(err)
	}
	l.Charge(Traffic{Bytes: 5000, Packets: 7, Conns: 1}, Down)
	l.Charge(Traffic{Bytes: 300, Packets: 2}, Up)
	const down, up = 5000 + 7*headerBytes + ConnBytes, 300 + 2*headerBytes
	check := func(got Status, want Control, in int64) {
		t.Helper()
		if got.Control != want || got.InDay != in || got.InMonth != in {
			t.Errorf("%+v, control %+v; want %d, control %+v", got, got.Control, in, want)
		}
	}
	data := WireBytes(10_000)
	check(l.Status(), Control{InDay: down + up, InMonth: down + up, Up: up, Down: down}, data+down+up)
	if got := l.Status(); got.Down != data+down || got.Up != up {
		t.Errorf("since Open %d down and %d up, want %d and %d", got.Down, got.Up, data+down, up)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	check(s.All()[0].Status(), Control{InDay: down + up, InMonth: down + up}, data+down+up)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Control traffic uses the budget up, so that data stops; what passes beyond is
// counted all the same.
func TestChargeBeyondTheBudget(t *testing.T) {
	s := openSet(t, Config{Name: "sat", Match: prefixes("10.0.0.0/8"), Day: 100_000})
	l := s.All()[0]
	l.Charge(Traffic{Bytes: 99_000}, Up)
	if _, err := l.Admit(Use{}); err == nil {
		t.Error("1,000 bytes are left, and a session may begin")
	}
	l.Charge(Traffic{Bytes: 5_000}, Up)
	if got := l.Status(); got.InDay != 104_000 || got.Open {
		t.Errorf("%+v, want 104,000 spent and a closed link", got)
	}
}

// Data waits for the rate behind what control traffic took of it.
func TestChargeOwesTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSet(t, Config{Name: "sat", Match: prefixes("10.0.0.0/8"), Up: 64_000})
		l := s.All()[0]
		l.Charge(Traffic{Bytes: 24_000}, Up) // three seconds' worth, and a burst less
		_, wait, err := l.Take(Use{}, 1000, Up)
		if err != nil || wait < 2*time.Second || wait > 4*time.Second {
			t.Errorf("waits %v, %v", wait, err)
		}
	})
}

// A ledger of before there were kinds is read, and gone on with on the same day.
func TestLedgerWithoutKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		day, month := now.Format(dayForm), now.Format(monthForm)
		file, err := decodeLedger([]byte(`{"version":1,"links":{"sat":{"days":{"last":"` + day + `","bytes":{"` + day + `":70}},"months":{"last":"` + month + `","bytes":{"` + month + `":90}}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		a := file.Links["sat"]
		a.add(5, 5)
		if a.Days.at(day) != 75 || a.Months.at(month) != 95 || a.ControlDays.at(day) != 5 || a.ControlMonths.at(month) != 5 {
			t.Errorf("%+v", a)
		}
		if _, err := decodeLedger(bytes.ReplaceAll([]byte(`{"version":1,"links":{"sat":{"days":{},"months":{},"control_days":{"last":"x","bytes":{"x":1}}}}}`), []byte("x"), []byte("2026-1-1"))); err == nil {
			t.Error("a date of another form is taken")
		}
	})
}

// Rates follow the monotonic clock: one that jumps, ahead or back, gives no bytes
// away and holds none up.
func TestRateDoesNotFollowTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jump time.Duration
		s, err := Open(Options{
			Path: filepath.Join(t.TempDir(), "ledger.json"), Class: WAN, Now: func() time.Time { return time.Now().Add(jump) },
			Links: []Config{{Name: "sat", Match: prefixes("10.0.0.0/8"), Down: 64_000}},
		})
		if err != nil {
			t.Fatal(err)
		}
		l := s.All()[0]
		for _, jump = range []time.Duration{0, 24 * time.Hour, -365 * 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
			time.Sleep(time.Minute) // the bucket is full
			_, wait, err := l.Take(Use{}, 80_000, Down)
			if owed := time.Duration(float64(WireBytes(80_000)-leastBurst) / 8000 * float64(time.Second)); err != nil || (wait-owed).Abs() > time.Second {
				t.Errorf("after a jump of %s: waits %s, want %s; %v", jump, wait, owed, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
