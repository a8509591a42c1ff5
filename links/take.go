package links

import (
	"log/slog"
	"time"
)

// Take counts n bytes of a stream. Going up, it grants some of them, to be
// written after the wait, or none, with a *[Closed], if the link is closed; they
// are in the ledger before. Coming down they have come: all are counted, nothing
// more is to be read before the wait, nor at all after an error.
func (l *Link) Take(u Use, n int, d Direction) (granted int, wait time.Duration, err error) {
	if n <= 0 {
		return 0, 0, nil
	}
	if d == Down {
		wait, err = l.takeDown(u, n)
		return n, wait, err
	}
	return l.takeUp(n)
}

func (l *Link) takeDown(u Use, n int) (time.Duration, error) {
	now, c := l.set.now(), l.Config()
	l.note(u, n)
	cost, err := l.set.ledger.take(c.Name, WireBytes(int64(n)), int64(c.Day), int64(c.Month), true)
	l.total[0].Add(cost)
	wait := l.down.take(int(cost))
	if err != nil {
		return wait, l.unwritten(c, now, err)
	}
	closed, _ := l.hard(now)
	if closed == nil && u.Pushed {
		closed = l.soft(u, now)
	}
	if closed != nil { // not returned as it is: a nil *Closed is no nil error
		return wait, closed
	}
	return wait, nil
}

func (l *Link) takeUp(n int) (granted int, wait time.Duration, err error) {
	now, c := l.set.now(), l.Config()
	if closed, _ := l.hard(now); closed != nil {
		return 0, 0, closed
	}
	n = l.up.piece(n)
	want := WireBytes(int64(n))
	cost, err := l.set.ledger.take(c.Name, want, int64(c.Day), int64(c.Month), false)
	if err != nil {
		if err = l.unwritten(c, now, err); err != nil {
			return 0, 0, err
		}
	}
	l.total[1].Add(cost)
	if cost < want { // the end of the budget
		if n = int(streamBytes(cost)); n == 0 {
			return 0, 0, &Closed{Why: WhyDay, Link: c.Name, Until: nextDay(now), For: nextDay(now).Format(dayForm), now: now}
		}
	}
	return n, l.up.take(int(cost)), nil
}

// unwritten says what follows from a ledger that cannot be written: over a link
// with a budget nothing passes, any other goes on.
func (l *Link) unwritten(c Config, now time.Time, err error) error {
	if c.Day+c.Month > 0 {
		return &Closed{Why: WhyLedger, Link: c.Name, Until: now.Add(writeApart), now: now, err: err}
	}
	l.set.log.Warn("what a link carries is not written down", slog.String("link", c.Name), slog.Any("error", err))
	return nil
}
