package links

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func schedule(t testing.TB, windows ...string) (s Schedule) {
	t.Helper()
	for _, text := range windows {
		w, err := ParseWindow(text)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, w)
	}
	return s
}

func moment(t testing.TB, text string, in *time.Location) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", text, in)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// 2026-11-24 is a Tuesday.
func TestSchedule(t *testing.T) {
	for _, tt := range []struct {
		name    string
		windows []string
		at      string
		open    bool
		until   string // empty: for ever
	}{
		{"none is always", nil, "2026-11-24 12:00", true, ""},
		{"night, before", []string{"22:00-06:00"}, "2026-11-24 21:59", false, "2026-11-24 22:00"},
		{"night, begins", []string{"22:00-06:00"}, "2026-11-24 22:00", true, "2026-11-25 06:00"},
		{"night, after midnight", []string{"22:00-06:00"}, "2026-11-25 03:00", true, "2026-11-25 06:00"},
		{"night, ends", []string{"22:00-06:00"}, "2026-11-25 06:00", false, "2026-11-25 22:00"},
		{"weekdays, on Saturday", []string{"mon-fri 08:00-18:00"}, "2026-11-28 09:00", false, "2026-11-30 08:00"},
		{"the night of Friday ends on Saturday", []string{"fri 22:00-06:00"}, "2026-11-28 05:00", true, "2026-11-28 06:00"},
		{"the night of Friday is not Thursday's", []string{"fri 22:00-06:00"}, "2026-11-27 05:00", false, "2026-11-27 22:00"},
		{"once a week, just missed", []string{"tue 12:00-13:00"}, "2026-11-24 13:00", false, "2026-12-01 12:00"},
		{"windows that meet", []string{"08:00-12:00", "12:00-13:00"}, "2026-11-24 09:00", true, "2026-11-24 13:00"},
		{"windows that overlap", []string{"08:00-12:00", "10:00-11:00", "11:30-14:00"}, "2026-11-24 09:00", true, "2026-11-24 14:00"},
		{"two days of the week", []string{"sat,sun 00:00-24:00"}, "2026-11-24 00:00", false, "2026-11-28 00:00"},
		{"the whole weekend", []string{"sat,sun 00:00-24:00"}, "2026-11-28 01:00", true, "2026-11-30 00:00"},
		{"every hour of the week", []string{"00:00-24:00"}, "2026-11-24 12:00", true, ""},
		{"over the end of the week", []string{"sat-mon 06:00-07:00"}, "2026-11-30 06:30", true, "2026-11-30 07:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open, until := schedule(t, tt.windows...).Open(moment(t, tt.at, time.UTC))
			want := time.Time{}
			if tt.until != "" {
				want = moment(t, tt.until, time.UTC)
			}
			if open != tt.open || !until.Equal(want) {
				t.Errorf("open %v until %s, want %v until %s", open, until, tt.open, want)
			}
		})
	}
}

// TestScheduleWhenClocksChange: local windows follow the local clock over the
// night on which it is put back (Berlin, 25 October 2026) and forward.
func TestScheduleWhenClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("no time zones here: %v", err)
	}
	s := schedule(t, "22:00-06:00")
	for day, hours := range map[string]int{"2026-10-24": 9, "2026-03-28": 7, "2026-07-01": 8} {
		from := moment(t, day+" 22:00", berlin)
		if open, until := s.Open(from); !open || until.Sub(from) != time.Duration(hours)*time.Hour {
			t.Errorf("night of %s: open %v for %s, want %d hours", day, open, until.Sub(from), hours)
		}
	}
}

func TestWindowsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "22-06", "22:00", "24:00-06:00", "22:60-06:00", "2:00-06:00", "someday 10:00-11:00", "mon- 10:00-11:00",
		"mon,,tue 10:00-11:00", "10:00-24:01", "mon 10:00-11:00 x", "-1:00-02:00", "1a:00-02:00",
	} {
		if w, err := ParseWindow(text); err == nil {
			t.Errorf("%q is read as %s", text, w)
		}
	}
}

// TestScheduleHoldsUntil: what Open says stays so until the moment it names, and
// changes there.
func TestScheduleHoldsUntil(t *testing.T) {
	clock := rapid.Custom(func(t *rapid.T) Window {
		w := Window{from: rapid.IntRange(0, 24*60-1).Draw(t, "from"), to: rapid.IntRange(0, 24*60).Draw(t, "to")}
		for i := range w.days {
			w.days[i] = rapid.Bool().Draw(t, "day")
		}
		w.days[rapid.IntRange(0, 6).Draw(t, "one")] = true
		if w.to <= w.from {
			w.to += 24 * 60
		}
		return w
	})
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule(rapid.SliceOfN(clock, 1, 4).Draw(t, "windows"))
		for _, w := range s {
			if again, err := ParseWindow(w.String()); err != nil || again.String() != w.String() {
				t.Fatalf("%s is read as %s, %v", w, again, err)
			}
		}
		at := time.Date(2026, 11, 24, 0, rapid.IntRange(0, 7*24*60).Draw(t, "minute"), 0, 0, time.UTC)
		open, until := s.Open(at)
		end := until
		if until.IsZero() {
			if !open {
				t.Fatal("closed for ever")
			}
			end = at.AddDate(0, 0, 7)
		}
		for m := at; m.Before(end); m = m.Add(7 * time.Minute) {
			if now, _ := s.Open(m); now != open {
				t.Fatalf("open is %v at %s, %v at %s, until %s", open, at, now, m, until)
			}
		}
		if now, _ := s.Open(until); !until.IsZero() && now == open {
			t.Fatalf("nothing changes at %s", until)
		}
	})
}

func FuzzParseWindow(f *testing.F) {
	for _, seed := range []string{"22:00-06:00", "mon-fri 08:00-18:00", "sat,sun 00:00-24:00", "fri-mon 1:00-2:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWindow(text)
		if err != nil {
			return
		}
		if again, err := ParseWindow(w.String()); err != nil || again != w {
			t.Fatalf("%q is written as %s and read as %s, %v", text, w, again, err)
		}
	})
}
