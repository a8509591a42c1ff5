package links

import (
	"fmt"
	"time"
)

// Why says what keeps a use of a link waiting.
type Why string

// The reasons.
const (
	WhySchedule Why = "schedule" // the link is closed at this time
	WhyDay      Why = "day"      // the day's budget is spent
	WhyMonth    Why = "month"    // the month's budget is spent
	WhyPriority Why = "priority" // a model of higher priority is being fetched
	WhyFull     Why = "full"     // a download in full waits for the operator
	WhyLedger   Why = "ledger"   // what passes cannot be written down
)

// Closed says why a use of a link waits, and until when. Its message names what
// it waits for: "waits until 22:00 on link sat".
type Closed struct {
	Why  Why
	Link string
	// Until is when to look again; zero if no time is known.
	Until time.Time
	// For is the day, the month, or the model that is waited for.
	For string

	now     time.Time
	bytes   int64
	limit   Bytes
	noDelta string
	metered bool
	err     error
}

// Budget says whether only more budget, or the operator's word, helps.
func (c *Closed) Budget() bool { return c.Why == WhyDay || c.Why == WhyMonth || c.Why == WhyFull }

// Unwrap returns what lies behind it.
func (c *Closed) Unwrap() error { return c.err }

// Error tells what is waited for.
func (c *Closed) Error() string {
	switch c.Why {
	case WhySchedule:
		form := "15:04"
		if c.Until.Format(dayForm) != c.now.Format(dayForm) && c.Until.Sub(c.now) >= 24*time.Hour {
			form = "Mon 2006-01-02 15:04"
		}
		return fmt.Sprintf("waits until %s on link %s", c.Until.Format(form), c.Link)
	case WhyDay, WhyMonth:
		return fmt.Sprintf("waits for budget of %s on link %s", c.For, c.Link)
	case WhyPriority:
		return fmt.Sprintf("waits for %s on link %s", c.For, c.Link)
	case WhyFull:
		link := "link " + c.Link
		if c.metered {
			link = "metered link " + c.Link
		}
		why := fmt.Sprintf("over its limit of %s for full downloads", c.limit)
		if c.noDelta != "" {
			why = "and no delta: " + c.noDelta
		}
		return fmt.Sprintf("waits for `dunlin allow %s`: %s in full on %s, %s", c.For, approx(c.bytes), link, why)
	}
	return fmt.Sprintf("waits for link %s: %v", c.Link, c.err)
}

// approx writes an amount for people.
func approx(n int64) string {
	v, unit := float64(n), 0
	for v >= 999.95 && unit < 5 {
		v /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %cB", v, " kMGTP"[unit])
}
