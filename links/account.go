package links

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// How much of the past an account keeps.
const (
	keptDays   = 35
	keptMonths = 14
)

// period is the bytes of days, or of months, of one link. Dates are written so
// that they sort, and hold the figures of the last date last.
type period struct {
	// Last is the date that was counted on last; empty before the first.
	Last string `json:"last"`
	// Bytes are those that passed, by date.
	Bytes map[string]int64 `json:"bytes"`
}

// at returns how much counts as spent on a date if it were today; see turn.
func (p *period) at(date string) int64 {
	if p.Last == "" || date == p.Last {
		return p.Bytes[date]
	}
	was, seen := p.Bytes[date]
	if date > p.Last && !seen {
		return 0
	}
	return max(was, p.Bytes[p.Last])
}

// turn makes date the day (or month) that is counted on. A date after the last
// one that was never counted on begins with nothing spent. Any other has had
// its budget, or is one to which the clock went back: it begins with what was
// spent on it, and with no less than was spent on the date that is left.
func (p *period) turn(date string, keep int) {
	if date == p.Last {
		return
	}
	spent := p.at(date)
	if p.Bytes == nil {
		p.Bytes = make(map[string]int64)
	}
	p.Bytes[date], p.Last = spent, date
	if dates := slices.Sorted(maps.Keys(p.Bytes)); len(dates) > keep {
		for _, old := range dates[:len(dates)-keep] {
			if old != date {
				delete(p.Bytes, old)
			}
		}
	}
}

func (p *period) clone() period { return period{p.Last, maps.Clone(p.Bytes)} }

// account is what one link carried, and what of that was control traffic.
type account struct {
	Days          period `json:"days"`
	Months        period `json:"months"`
	ControlDays   period `json:"control_days,omitzero"`
	ControlMonths period `json:"control_months,omitzero"`
}

// The forms of dates, in the order of time for years 0 to 9999.
const (
	dayForm   = "2006-01-02"
	monthForm = "2006-01"
)

// turn makes the moment's day and month those that are counted on.
func (a *account) turn(now time.Time) {
	day, month := now.Format(dayForm), now.Format(monthForm)
	a.Days.turn(day, keptDays)
	a.Months.turn(month, keptMonths)
	a.ControlDays.turn(day, keptDays)
	a.ControlMonths.turn(month, keptMonths)
}

// add counts n bytes on the day and month turned to, control of them by the
// kind.
func (a *account) add(n, control int64) {
	a.Days.Bytes[a.Days.Last] += n
	a.Months.Bytes[a.Months.Last] += n
	if control == 0 {
		return
	}
	// An account that an earlier version wrote has none of that kind yet.
	a.ControlDays.turn(a.Days.Last, keptDays)
	a.ControlMonths.turn(a.Months.Last, keptMonths)
	a.ControlDays.Bytes[a.Days.Last] += control
	a.ControlMonths.Bytes[a.Months.Last] += control
}

func (a *account) clone() account {
	return account{a.Days.clone(), a.Months.clone(), a.ControlDays.clone(), a.ControlMonths.clone()}
}

// latest orders accounts by the day that they were used last.
func (a *account) latest(b *account) int { return cmp.Compare(a.Days.Last, b.Days.Last) }
