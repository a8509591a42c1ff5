package links

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// wall is a clock that a test sets.
type wall struct{ t time.Time }

func (w *wall) now() time.Time { return w.t }

func ledgerAt(t testing.TB, path string, w *wall) *ledger {
	t.Helper()
	l, err := openLedger(path, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLedgerProperties: with clocks that jump anywhere, crashes and restarts at
// any moment,
//
//	the file never says less than what passed, nor more than the bound above it;
//	no more passes than a budget allows between two days never seen before;
//	at a jump to a day seen before, or back, nothing of a budget is given back.
func TestLedgerProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "ledger.json")
		clock := &wall{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
		day := rapid.Int64Range(64<<10, 32<<20).Draw(rt, "day")
		l := ledgerAt(t, path, clock)
		last, truth := "", int64(0) // of this stretch of one day
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0: // the clock jumps
				before, _ := l.spent("sat", clock.t)
				from := clock.t
				clock.t = clock.t.AddDate(0, 0, rapid.IntRange(-3, 3).Draw(rt, "days"))
				after, _ := l.spent("sat", clock.t)
				if e := l.entries["sat"]; e != nil && clock.t.Before(from) && from.Format(dayForm) == e.Days.Last && after < before {
					rt.Fatalf("from %s back to %s, spent %d becomes %d", from, clock.t, before, after)
				}
			case 1: // a crash: what is on disk is all there is
				_, had := l.entries["sat"]
				exact, _ := l.spent("sat", clock.t)
				l = ledgerAt(t, path, clock)
				got, _ := l.spent("sat", clock.t)
				if ahead := max(day/64, leastAhead); had && (got < exact || got > exact+ahead) {
					rt.Fatalf("after a crash %d are spent, %d had passed, at most %d more", got, exact, ahead)
				}
				last, truth = clock.t.Format(dayForm), got
			case 2: // an orderly end
				exact, _ := l.spent("sat", clock.t)
				if err := l.flush(); err != nil {
					rt.Fatal(err)
				}
				l = ledgerAt(t, path, clock)
				if got, _ := l.spent("sat", clock.t); got != exact {
					rt.Fatalf("%d spent after a restart, %d before", got, exact)
				}
			default:
				if date := clock.t.Format(dayForm); date != last {
					last = date
					truth, _ = l.spent("sat", clock.t)
				}
				n := rapid.Int64Range(1, 4<<20).Draw(rt, "bytes")
				got, err := l.take("sat", n, day, 0, false)
				if err != nil {
					rt.Fatal(err)
				}
				if truth += got; truth > day || got < n && truth != day {
					rt.Fatalf("%d of %d granted, %d of %d spent", got, n, truth, day)
				}
				if spent, _ := l.spent("sat", clock.t); spent != truth {
					rt.Fatalf("%d spent, counted %d", spent, truth)
				}
			}
		}
	})
}

// TestClockJumps tells the same as a story.
func TestClockJumps(t *testing.T) {
	clock := &wall{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	l := ledgerAt(t, filepath.Join(t.TempDir(), "ledger.json"), clock)
	const budget = 1 << 20
	take := func(n int64) int64 {
		t.Helper()
		got, err := l.take("sat", n, budget, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, step := range []struct {
		at         string
		want, gets int64
	}{
		{"2026-11-24", 600_000, 600_000},
		{"2026-11-23", 600_000, budget - 600_000}, // back: what was spent stays spent
		{"2026-11-24", 1, 0},                      // and forth: so does what was spent meanwhile
		{"1970-01-01", 1, 0},                      // a board without a clock starts
		{"2026-11-24", 1, 0},                      // and learns the time
		{"2026-11-25", 100_000, 100_000},          // a new day
		{"2036-01-01", 200_000, 200_000},          // the clock goes astray
		{"2026-11-25", budget, budget - 200_000},  // and returns: of that day the larger figure counts
		{"2026-11-26", 5, 5},                      // the next day is a new one, although 2036 was seen
	} {
		clock.t = moment(t, step.at+" 12:00", time.UTC)
		if got := take(step.want); got != step.gets {
			t.Errorf("on %s %d of %d are granted, want %d", step.at, got, step.want, step.gets)
		}
	}
}

// TestMonthOutlivesDays: the month's budget counts all of its days.
func TestMonthOutlivesDays(t *testing.T) {
	clock := &wall{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	l := ledgerAt(t, filepath.Join(t.TempDir(), "ledger.json"), clock)
	var sum int64
	for range 10 {
		got, err := l.take("sat", 300_000, 0, 1_000_000, false)
		if err != nil {
			t.Fatal(err)
		}
		sum += got
		clock.t = clock.t.AddDate(0, 0, 1)
	}
	if day, month := l.spent("sat", clock.t); sum != 1_000_000+900_000 || day != 0 || month != 900_000 {
		t.Errorf("%d passed in a November and 3 days of December, %d on the day, %d in the month", sum, day, month)
	}
}

// TestWritesAreApart: at full speed the file is written every few seconds, not
// for every piece.
func TestWritesAreApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger.json")
		l, err := openLedger(path, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		writes, seen := 0, ""
		const seconds, perSecond = 60, 12_500_000 // 100 Mbit/s
		for range seconds * perSecond / (64 << 10) {
			if _, err := l.take("wan", 64<<10, 0, 0, true); err != nil {
				t.Fatal(err)
			}
			if e := l.entries["wan"]; fmt.Sprint(e.written) != seen {
				writes, seen = writes+1, fmt.Sprint(e.written)
			}
			time.Sleep(time.Second * (64 << 10) / perSecond)
		}
		if writes > seconds/2+12 {
			t.Errorf("written %d times in %d s", writes, seconds)
		}
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLedgerThatCannotBeWritten: nothing passes against a budget that cannot be
// written down; without a budget the link works.
func TestLedgerThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	l := ledgerAt(t, filepath.Join(dir, "ledger.json"), &wall{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)})
	if got, err := l.take("sat", 100, 1<<20, 0, false); got != 0 || !errors.Is(err, ErrLedger) {
		t.Errorf("with a budget: %d, %v", got, err)
	}
	if got, err := l.take("wan", 100, 0, 0, false); got != 100 || !errors.Is(err, ErrLedger) {
		t.Errorf("without: %d, %v", got, err)
	}
	if got, err := l.take("sat", 100, 1<<20, 0, true); got != 100 || !errors.Is(err, ErrLedger) {
		t.Errorf("what has come counts: %d, %v", got, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.entries["sat"].written = time.Time{} // as if a while had passed
	if got, err := l.take("sat", 100, 1<<20, 0, false); got != 100 || err != nil {
		t.Errorf("once there is room: %d, %v", got, err)
	}
}

// TestOldNamesAreForgotten: the file is bounded, and a name that is set anew
// does not get its budget back.
func TestOldNamesAreForgotten(t *testing.T) {
	clock := &wall{time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	path := filepath.Join(t.TempDir(), "ledger.json")
	l := ledgerAt(t, path, clock)
	for i := range maxNames + 10 {
		clock.t = clock.t.Add(10 * time.Hour)
		if _, err := l.take(fmt.Sprintf("link-%d", i), 1000, 0, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	again := ledgerAt(t, path, clock)
	if len(again.entries) > maxNames {
		t.Errorf("%d names", len(again.entries))
	}
	if day, _ := again.spent(fmt.Sprintf("link-%d", maxNames+9), clock.t); day != 1000 {
		t.Errorf("of the newest one %d", day)
	}
}

func TestBadLedgers(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        ``,
		"other":        `[]`,
		"version":      `{"version":2,"links":{}}`,
		"unknown key":  `{"version":1,"links":{},"more":1}`,
		"more":         `{"version":1,"links":{}} {}`,
		"name":         `{"version":1,"links":{"A b":{"days":{"last":"","bytes":{}},"months":{"last":"","bytes":{}}}}}`,
		"date":         `{"version":1,"links":{"a":{"days":{"last":"2026-13-01","bytes":{"2026-13-01":1}},"months":{"last":"","bytes":{}}}}}`,
		"no last":      `{"version":1,"links":{"a":{"days":{"last":"2026-11-01","bytes":{}},"months":{"last":"","bytes":{}}}}}`,
		"less than no": `{"version":1,"links":{"a":{"days":{"last":"2026-11-01","bytes":{"2026-11-01":-1}},"months":{"last":"","bytes":{}}}}}`,
		"long":         strings.Repeat(" ", maxLedger) + `{"version":1,"links":{}}`,
	} {
		path := filepath.Join(t.TempDir(), "ledger.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openLedger(path, time.Now); !errors.Is(err, ErrLedger) || !strings.Contains(fmt.Sprint(err), "move it away") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{"version":1,"links":{"sat":{"days":{"last":"2026-11-24","bytes":{"2026-11-24":5}},"months":{"last":"2026-11","bytes":{"2026-11":5}}}}}`))
	f.Add([]byte(`{"version":1,"links":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "ledger.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		clock := &wall{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
		l, err := openLedger(path, clock.now)
		if err != nil {
			return
		}
		before, _ := l.spent("sat", clock.t)
		if _, err := l.take("sat", 1000, 0, 0, false); err != nil {
			t.Fatal(err)
		}
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		if after, _ := ledgerAt(t, path, clock).spent("sat", clock.t); after != before+1000 {
			t.Fatalf("%d and 1000 make %d", before, after)
		}
	})
}
