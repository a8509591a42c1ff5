package links

import "time"

// forecastSteps bounds how far ahead is looked: windows, days and months.
const forecastSteps = 4096

// Status is how a link stands.
type Status struct {
	Config  Config
	Day     string // by the local clock
	Month   string
	InDay   int64 // bytes on the wire that count as spent
	InMonth int64
	Up      int64 // bytes on the wire since Open
	Down    int64
	Control Control
	Open    bool
	Closed  *Closed // why not
}

// Control is what of the figures of a [Status] was control traffic.
type Control struct {
	InDay   int64
	InMonth int64
	Up      int64
	Down    int64
}

// Status returns how the link stands.
func (l *Link) Status() Status {
	now := l.set.now()
	s := Status{Config: l.Config(), Day: now.Format(dayForm), Month: now.Format(monthForm), Down: l.total[0].Load(), Up: l.total[1].Load()}
	s.InDay, s.InMonth = l.set.ledger.spent(s.Config.Name, now)
	s.Control = Control{Down: l.control[0].Load(), Up: l.control[1].Load()}
	s.Control.InDay, s.Control.InMonth = l.set.ledger.control(s.Config.Name, now)
	s.Closed, _ = l.hard(now)
	s.Open = s.Closed == nil
	return s
}

// Forecast says when n bytes on a stream, coming down at a rate from now on,
// would begin and end within the schedule and the budgets, if nothing else
// passed; ok is false if that is more than some years ahead, or never.
func (l *Link) Forecast(n int64, rate Rate) (begin, end time.Time, ok bool) {
	now := l.set.now()
	day, month := l.set.ledger.spent(l.Name(), now)
	return forecast(l.Config(), day, month, WireBytes(n), rate, now)
}

func forecast(c Config, spentDay, spentMonth, n int64, rate Rate, t time.Time) (begin, end time.Time, ok bool) {
	if rate <= 0 {
		return t, t, false
	}
	perSecond := float64(rate) / 8
	left := func(bound Bytes, spent int64) int64 {
		if bound == 0 {
			return 1 << 62
		}
		return int64(bound) - spent
	}
	leftDay, leftMonth := left(c.Day, spentDay), left(c.Month, spentMonth)
	date, monthOf := t.Format(dayForm), t.Format(monthForm)
	for range forecastSteps {
		if d := t.Format(dayForm); d != date {
			date, leftDay = d, left(c.Day, 0)
		}
		if m := t.Format(monthForm); m != monthOf {
			monthOf, leftMonth = m, left(c.Month, 0)
		}
		open, until := c.Schedule.Open(t)
		switch {
		case !open && until.IsZero():
			return begin, end, false
		case !open:
			t = until
			continue
		case leftMonth < leastUseful:
			t = nextMonth(t)
			continue
		case leftDay < leastUseful:
			t = nextDay(t)
			continue
		}
		if begin.IsZero() {
			begin = t
		}
		horizon := nextDay(t)
		if !until.IsZero() && until.Before(horizon) {
			horizon = until
		}
		could := int64(min(horizon.Sub(t).Seconds()*perSecond, 1<<62))
		part := min(n, leftDay, leftMonth, could)
		if n -= part; n <= 0 {
			return begin, t.Add(time.Duration(float64(part) / perSecond * float64(time.Second))), true
		}
		leftDay, leftMonth = leftDay-part, leftMonth-part
		if t = t.Add(time.Duration(float64(part) / perSecond * float64(time.Second))); part == could {
			t = horizon
		}
	}
	return begin, end, false
}
