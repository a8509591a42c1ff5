package links

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is a time of the week, by the local clock: "22:00-06:00" each day,
// "mon-fri 08:00-18:00", "sat,sun 00:00-24:00". One that ends no later than it
// begins ends on the next day; days are those on which it begins.
type Window struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes since midnight; to over 24 h on the next day
}

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindow reads a window.
func ParseWindow(text string) (Window, error) {
	w, ok := parseWindow(strings.ToLower(strings.TrimSpace(text)))
	if !ok {
		return Window{}, fmt.Errorf("window %.40q: want a form such as 22:00-06:00, mon-fri 08:00-18:00 or sat,sun 00:00-24:00", text)
	}
	return w, nil
}

func parseWindow(text string) (w Window, ok bool) {
	days, times, given := strings.Cut(text, " ")
	if !given {
		times = text
		w.days = [7]bool{true, true, true, true, true, true, true}
	} else if !w.parseDays(days) {
		return w, false
	}
	from, to, ok := strings.Cut(times, "-")
	if !ok {
		return w, false
	}
	if w.from, ok = parseClock(from); !ok || w.from == 24*60 {
		return w, false
	}
	if w.to, ok = parseClock(to); !ok {
		return w, false
	}
	if w.to <= w.from {
		w.to += 24 * 60
	}
	return w, true
}

func (w *Window) parseDays(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from := slices.Index(dayNames[:], first)
		to := from
		if isRange {
			to = slices.Index(dayNames[:], last)
		}
		if from < 0 || to < 0 {
			return false
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == to {
				break
			}
		}
	}
	return true
}

// parseClock reads HH:MM, 00:00 to 24:00, as minutes.
func parseClock(text string) (int, bool) {
	if len(text) != 5 || text[2] != ':' {
		return 0, false
	}
	digit := func(i int) int { return int(text[i]) - '0' }
	for _, i := range []int{0, 1, 3, 4} {
		if digit(i) < 0 || digit(i) > 9 {
			return 0, false
		}
	}
	h, m := 10*digit(0)+digit(1), 10*digit(3)+digit(4)
	return 60*h + m, m < 60 && h*60+m <= 24*60
}

// String writes the window so that [ParseWindow] reads it.
func (w Window) String() string {
	var days []string
	for i := range 7 { // from Monday
		if d := (i + 1) % 7; w.days[d] {
			days = append(days, dayNames[d])
		}
	}
	to := w.to
	if to > 24*60 {
		to -= 24 * 60
	}
	text := fmt.Sprintf("%02d:%02d-%02d:%02d", w.from/60, w.from%60, to/60, to%60)
	if len(days) < 7 {
		text = strings.Join(days, ",") + " " + text
	}
	return text
}

// MarshalText implements encoding.TextMarshaler.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWindow(string(text))
	return err
}

// Schedule says when a link is open: in any of its windows. An empty one is
// always open.
type Schedule []Window

// Open says whether the link is open at the time t, by t's location, and until
// when that stays so; the zero time for ever. A moment that the clock skips or
// repeats counts as [time.Date] has it.
func (s Schedule) Open(t time.Time) (open bool, until time.Time) {
	if len(s) == 0 {
		return true, time.Time{}
	}
	// Windows that begin from yesterday to in eight days cover a week from now.
	type stretch struct{ from, to time.Time }
	var stretches []stretch
	year, month, day := t.Date()
	for i := -1; i <= 8; i++ {
		for _, w := range s {
			from := time.Date(year, month, day+i, 0, w.from, 0, 0, t.Location())
			to := time.Date(year, month, day+i, 0, w.to, 0, 0, t.Location())
			weekday := time.Date(year, month, day+i, 12, 0, 0, 0, t.Location()).Weekday()
			if w.days[weekday] && to.After(t) && to.After(from) {
				stretches = append(stretches, stretch{from, to})
			}
		}
	}
	slices.SortFunc(stretches, func(a, b stretch) int { return a.from.Compare(b.from) })
	for _, x := range stretches {
		switch {
		case !open && x.from.After(t):
			return false, x.from
		case !open:
			open, until = true, x.to
		case x.from.After(until):
			return true, until
		case x.to.After(until):
			until = x.to
		}
	}
	if until.After(t.AddDate(0, 0, 7)) {
		until = time.Time{} // windows meet all through the week
	}
	return open, until
}
