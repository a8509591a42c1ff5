package transfer

import "time"

// minEpoch is the least time over which a rate is measured.
const minEpoch = 50 * time.Millisecond

// window says how many bytes to have asked of a peer and not received yet: the
// product of its bandwidth and delay, twice, so that the pipe stays full while
// requests travel. While the window is what limits, each measurement doubles
// it; once the link limits, it stays (the idea of BBR's start-up, RFC draft
// ietf-ccwg-bbr). It is used under the lock of its session.
type window struct {
	least, most int
	rtt         time.Duration // shortest answer seen
	rate        float64       // bytes per second
	start       time.Time     // of the epoch; zero while nothing is asked
	bytes       int           // received in the epoch
}

// sample notes that an answer took d.
func (w *window) sample(d time.Duration) {
	if w.rtt == 0 || d < w.rtt {
		w.rtt = max(d, time.Microsecond)
	}
}

// asked notes that there is something to wait for.
func (w *window) asked(now time.Time) {
	if w.start.IsZero() {
		w.start, w.bytes = now, 0
	}
}

// received notes n bytes; idle says that nothing more is asked for.
func (w *window) received(n int, now time.Time, idle bool) {
	if w.start.IsZero() {
		return
	}
	w.bytes += n
	if took := now.Sub(w.start); took >= max(w.rtt, minEpoch) {
		rate := float64(w.bytes) / took.Seconds()
		if rate < w.rate {
			rate = (3*w.rate + rate) / 4
		}
		w.rate, w.start, w.bytes = rate, now, 0
	}
	if idle {
		w.start = time.Time{}
	}
}

// size returns the window now, in bytes.
func (w *window) size() int {
	product := 2 * w.rate * w.rtt.Seconds()
	return int(min(max(product, float64(w.least)), float64(w.most)))
}
